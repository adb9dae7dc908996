package core

import "strings"

// CleanText makes a text from outside fit to be stored anywhere: invalid UTF-8 and NUL characters, which PostgreSQL
// refuses, become the replacement character.
func CleanText(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
