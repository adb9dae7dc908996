package core

// Skill is know-how that an agent loads when it needs it: a folder with instructions, and files that belong to them.
type Skill struct {
	Name        string `json:"name"` // lower case and hyphens, as its folder
	Description string `json:"description"`
}
