package yamlnode_test

import (
	"strings"
	"testing"

	"github.com/sutazai/sutazai/internal/yamlnode"
)

func TestValuesAreReadWithTheirLines(t *testing.T) {
	t.Parallel()
	root, _, err := yamlnode.Parse([]byte("a: text\nb: [1, 2.5]\nc: |\n  two\n  lines\nd: {y: 1, x: [true, null]}\n"))
	if err != nil {
		t.Fatal(err)
	}
	entries, ok := yamlnode.Mapping(root)
	if !ok || len(entries) != 4 {
		t.Fatalf("%d entries", len(entries))
	}
	for i, key := range []string{"a", "b", "c", "d"} {
		if got := yamlnode.Key(entries[i]); got != key {
			t.Errorf("key %d is %q", i, got)
		}
	}
	if line := yamlnode.Line(entries[3].Key); line != 6 {
		t.Errorf("d is in line %d", line)
	}
	if s, ok := yamlnode.String(entries[2].Value); !ok || s != "two\nlines\n" {
		t.Errorf("c is %q", s)
	}
	items, ok := yamlnode.Sequence(entries[1].Value)
	if !ok || len(items) != 2 {
		t.Fatalf("b has %d items", len(items))
	}
	if n, ok := yamlnode.Integer(items[0]); !ok || n != 1 {
		t.Errorf("b[0] is %d", n)
	}
	if n, ok := yamlnode.Number(items[1]); !ok || n != 2.5 {
		t.Errorf("b[1] is %g", n)
	}
	if raw, _, err := yamlnode.JSON(entries[3].Value); err != nil || string(raw) != `{"y":1,"x":[true,null]}` {
		t.Errorf("d is %s %v", raw, err)
	}
}

func TestWhatIsNoDocumentIsRefusedWithItsLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text, part string
		line             int
	}{
		{"broken", "a: 1\nb: [1, 2", "not valid YAML", 2},
		{"two documents", "a: 1\n---\nb: 2\n", "more than one", 1},
		{"nested deeply", strings.Repeat("[", 100), "nested more than", 1},
	} {
		if _, line, err := yamlnode.Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.part) || line != c.line {
			t.Errorf("%s: line %d, %v", c.name, line, err)
		}
	}
	if root, _, err := yamlnode.Parse([]byte("# nothing\n")); root != nil || err != nil {
		t.Errorf("an empty document is %v %v", root, err)
	}
}
