package tools

import (
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sutazai/sutazai/core"
)

// A real disk of 1 MB is filled. It needs the right to mount one.
func TestAFullDiskLosesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Skipf("no small disk can be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	r, err := New(Config{Dir: dir}, Deps{Now: time.Now, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() }) //nolint:errcheck,gosec // test
	b := bundle{Registry: r, t: t, dir: dir}
	b.attach(map[string]string{"a.txt": "old"})
	got := b.fails("write_file", map[string]string{"path": "a.txt", "content": strings.Repeat("x", 2<<20)})
	if want := "the server's disk is full; nothing was changed. Tell the user, who can free space and try again"; got != want {
		t.Errorf("got %s", got)
	}
	err = b.Attach("w", []core.File{{Name: "small"}, {Name: "big", Content: make([]byte, 2<<20)}})
	if core.CodeOf(err) != core.CodeStorageFull {
		t.Errorf("got %v", err)
	}
	if got := b.ok("list_files", ""); got != "a.txt (3 bytes)" {
		t.Errorf("the workspace holds %s", got)
	}
	b.ok("write_file", `{"path":"a.txt","content":"new"}`) // there is room again
	if got := b.ok("read_file", `{"path":"a.txt"}`); got != "new" {
		t.Errorf("got %s", got)
	}
}
