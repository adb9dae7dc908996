package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestALongCellMovesOnlyItsOwnLine(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 600)
	tab := newTable("SETTING", "VALUE", "FROM")
	tab.add("a", "1", "default")
	tab.add("b", long, "file")
	var out bytes.Buffer
	tab.print(&out, style{}, 0)
	lines := strings.Split(out.String(), "\n")
	if len(lines[0]) > 80 || len(lines[1]) > 80 || lines[2] != "b        "+long+"  file" {
		t.Errorf("%d, %d and %d characters wide:\n%s", len(lines[0]), len(lines[1]), len(lines[2]), out.String())
	}
}

func TestUsageIsGroupedOnlyByWhatThereIs(t *testing.T) {
	t.Parallel()
	callWith(t.Context(), nil, terminals{}, "models", "usage", "--by", "x").want(t, exitUsage, `--by takes day, model, key, agent or project, not "x"`)
}

func TestModelsListSaysWhatADashMeans(t *testing.T) {
	t.Parallel()
	if r := callWith(t.Context(), nil, terminals{}, "models", "list", "--help"); !strings.Contains(r.out, "– (it was not called") {
		t.Errorf("the help does not say it:\n%s", r.out)
	}
}
