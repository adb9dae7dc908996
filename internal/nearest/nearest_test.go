package nearest

import "testing"

func TestNearestSuggestsOnlyWhatWasProbablyMeant(t *testing.T) {
	t.Parallel()
	words := []string{"read_file", "write_file", "list_files", "fetch", "ask_user", "log", "id"}
	for _, tc := range []struct{ name, word, want string }{
		{"a missing letter", "read_fil", "read_file"},
		{"an added letter", "fetchh", "fetch"},
		{"a wrong letter", "fetsh", "fetch"},
		{"swapped neighbours in a short word", "lgo", "log"},
		{"another case", "FETCH", "fetch"},
		{"another separator", "ask-user", "ask_user"},
		{"letters beyond ASCII are letters", "wríte_file", "write_file"},
		{"something else", "calculator", ""},
		{"a short word that shares nothing", "xy", ""},
		{"one letter for one letter", "x", ""},
		{"an empty word", "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := Nearest(tc.word, words); got != tc.want {
				t.Errorf("Nearest(%q) = %q, want %q", tc.word, got, tc.want)
			}
		})
	}
}

func TestNearestPrefersTheNearestThenTheFirst(t *testing.T) {
	t.Parallel()
	if got := Nearest("bats", []string{"cats", "bat", "bats"}); got != "bats" {
		t.Errorf("an exact word lost to %q", got)
	}
	if got := Nearest("hat", []string{"cat", "bat"}); got != "cat" {
		t.Errorf("of two equally near words the first should win, got %q", got)
	}
	if got := Nearest("word", nil); got != "" {
		t.Errorf("a suggestion %q from nothing", got)
	}
}
