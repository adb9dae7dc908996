package aimodelstest

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/sutazai/sutazai/core"
)

// Sent is the body that a request becomes on its way to a server of the dialect.
func (d Dialect) Sent(t *testing.T, req core.ModelRequest) []byte {
	t.Helper()
	p, s := d.setup(t, Always(Text("x")))
	if _, err := p.Chat(t.Context(), req, nil); err != nil {
		t.Fatal(err)
	}
	return s.Requests()[0].Body
}

// Golden holds a body of JSON against a file that has it indented; with update it writes the file anew first. The flag for
// that is the importing package's: one of this package would be part of every test binary that imports it.
func Golden(t *testing.T, file string, body []byte, update bool) {
	t.Helper()
	var got bytes.Buffer
	if err := json.Indent(&got, body, "", "  "); err != nil {
		t.Fatal(err)
	}
	got.WriteByte('\n')
	if update {
		if err := os.WriteFile(file, got.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("%s differs; review the change, then run with -update:\n%s", file, got.Bytes())
	}
}
