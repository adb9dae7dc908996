package tools

import (
	"testing"

	"github.com/sutazai/sutazai/core"
)

func TestFilesOfAWorkspaceAreHandedOver(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	if files, err := b.Files(t.Context(), "nobodys"); err != nil || len(files) != 0 {
		t.Errorf("of no workspace: %v, %v", files, err)
	}
	if err := b.Attach("run-1", []core.File{{Name: "out/report.txt", Content: []byte("twelve bytes")}}); err != nil {
		t.Fatal(err)
	}
	files, err := b.Files(t.Context(), "run-1")
	if err != nil || len(files) != 1 || files["out/report.txt"] != 12 {
		t.Errorf("got %v, %v", files, err)
	}
	f, err := b.Read(t.Context(), "run-1", "out/report.txt", 12)
	if err != nil || f.Name != "out/report.txt" || string(f.Content) != "twelve bytes" {
		t.Errorf("got %+v, %v", f, err)
	}
	for name, want := range map[string]core.Code{"out/report.txt": core.CodeTooLarge, "out/other.txt": core.CodeNotFound, "../run-2/x": core.CodeInvalid} {
		if _, err := b.Read(t.Context(), "run-1", name, 11); core.CodeOf(err) != want {
			t.Errorf("%s: %v, want %s", name, err, want)
		}
	}
	if _, err := b.Read(t.Context(), "nobodys", "x", 11); core.CodeOf(err) != core.CodeNotFound {
		t.Errorf("of no workspace: %v", err)
	}
}
