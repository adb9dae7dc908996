package dialect_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

func TestScanRefusesAFieldThatStandsTwice(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `"k%d":1,`, i)
		}
		return b.String()
	}
	for name, c := range map[string]struct {
		body  string
		twice bool
	}{
		"few, each once":               {`{` + many(5) + `"model":"a"}`, false},
		"few":                          {`{"model":"a",` + many(5) + `"model":"b"}`, true},
		"few, spelled with an escape":  {`{"model":"a",` + many(5) + `"mod\u0065l":"b"}`, true},
		"many, each once":              {`{` + many(1000) + `"model":"a"}`, false},
		"many, the first again":        {`{"model":"a",` + many(1000) + `"model":"b"}`, true},
		"many, a late one again":       {`{` + many(1000) + `"model":"a","x":1,"model":"b"}`, true},
		"many, with an escape":         {`{"model":"a",` + many(1000) + `"\u006dodel":"b"}`, true},
		"as many as are compared":      {`{` + many(31) + `"model":"a","model":"b"}`, true},
		"the first that are looked up": {`{` + many(32) + `"k31":2}`, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := dialect.Scan([]byte(c.body))
			if c.twice != (core.CodeOf(err) == core.CodeInvalid) || c.twice != (err != nil) {
				t.Fatalf("refused: %v, want refused: %v", err, c.twice)
			}
		})
	}
}

// Comparing each name with every other one took ten seconds of a processor for a body of a megabyte.
func TestScanIsFastForManyFields(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"model":"a"`)
	for i := range 200_000 {
		fmt.Fprintf(&b, `,"k%d":1`, i)
	}
	b.WriteString(`}`)
	began := time.Now()
	o, err := dialect.Scan([]byte(b.String()))
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 5*time.Second { // about 50 ms; 40 s where each is compared with each
		t.Fatalf("a body of %d bytes took %v", b.Len(), took)
	}
	if got := string(o.Get("k199999")); got != "1" {
		t.Fatalf("the last field is %q", got)
	}
}
