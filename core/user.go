package core

import "time"

// User is a person who can sign in to the console.
type User struct {
	ID        string    `json:"id"` // UUIDv7
	Name      string    `json:"name"`
	Scopes    []Scope   `json:"scopes"`
	CreatedAt time.Time `json:"created_at"`
}

// Session is a signed-in browser. Its secret is in the browser's cookie; only a hash is stored.
type Session struct {
	User      User      `json:"user"`
	CreatedAt time.Time `json:"created_at"`
	SeenAt    time.Time `json:"seen_at"`
	ExpiresAt time.Time `json:"expires_at"` // however much it is used
}
