package tools

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"unicode/utf8"

	"github.com/sutazai/sutazai/core"
)

func TestAFileIsWrittenReadListedAndFound(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	if got := b.ok("list_files", ""); got != "[the workspace is empty]" {
		t.Errorf("got %s", got)
	}
	for range 2 { // the second is the same call after a crash
		if got := b.ok("write_file", map[string]string{"path": "notes/plan ä.md", "content": "one\ntwo\n"}); got != "wrote notes/plan ä.md (8 bytes)" {
			t.Errorf("got %s", got)
		}
	}
	if got := b.ok("read_file", map[string]string{"path": "./notes/plan ä.md"}); got != "one\ntwo\n" {
		t.Errorf("got %q", got)
	}
	b.ok("write_file", map[string]string{"path": "empty.txt", "content": ""})
	if got := b.ok("list_files", `{"path":"/"}`); got != "empty.txt (0 bytes)\nnotes/plan ä.md (8 bytes)" {
		t.Errorf("got %s", got)
	}
	if got := b.ok("list_files", `{"path":"notes"}`); got != "notes/plan ä.md (8 bytes)" {
		t.Errorf("got %s", got)
	}
	if got := b.ok("read_file", `{"path":"empty.txt"}`); got != "[empty.txt is empty]" {
		t.Errorf("got %s", got)
	}
	if got := b.ok("search_files", `{"pattern":"T[wx]O","ignore_case":true}`); got != "notes/plan ä.md:2: two" {
		t.Errorf("got %s", got)
	}
}

func TestOnePersonsWorkspaceIsNotAnothers(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	b.attach(map[string]string{"a.txt": "secret"})
	for _, path := range []string{"a.txt", "../w/a.txt"} {
		res := b.Call(t.Context(), core.ToolInvocation{Name: "read_file", Workspace: "other", Arguments: fmt.Appendf(nil, `{"path":%q}`, path)})
		if !res.IsError || strings.Contains(res.Text, "secret") {
			t.Errorf("%s: %+v", path, res)
		}
	}
	for _, w := range []string{"", ".", "..", "w/../w", "../x", "/", "w\x00", "a b", "-x", strings.Repeat("a", 200)} {
		if err := b.Attach(w, []core.File{{Name: "x"}}); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("workspace %q: %v", w, err)
		}
	}
}

// escapes are paths that must lead nowhere.
func escapes() []string {
	return []string{
		"", "..", "../x", "../../etc/passwd", "/etc/passwd", "//etc/passwd", "a/../../x", "a/b/../../../x", "./../x", `..\x`, `C:\x`, "C:x",
		"a\x00b", "a\nb", "a\u202eb", "a\u2028b", "\xff\xfe", "a?b", "a*", "a|b", strings.Repeat("a", 201), strings.Repeat("a/", 40) + "x",
		strings.Repeat("a/", 600), "x" + tempSuffix, "\u200b",
	}
}

func TestPathsThatLeadOutAreRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	if err := os.WriteFile(filepath.Join(b.dir, "outside"), []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range append(escapes(), "../outside") {
		for _, tool := range []string{"read_file", "write_file", "list_files", "search_files"} {
			args := map[string]string{"path": p}
			switch tool {
			case "write_file":
				args["content"] = "x"
			case "search_files":
				args["pattern"] = "."
			}
			if !utf8.ValidString(p) {
				continue // JSON cannot say it
			}
			if p == "" && (tool == "list_files" || tool == "search_files") {
				continue // the whole workspace
			}
			if got := b.fails(tool, args); strings.Contains(got, "secret") {
				t.Errorf("%s %q: %s", tool, p, got)
			}
		}
		if err := b.Attach("w", []core.File{{Name: p, Content: []byte("x")}}); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("Attach %q: %v", p, err)
		}
	}
	entries, err := os.ReadDir(b.dir)
	if err != nil || len(entries) > 2 {
		t.Errorf("the folder of workspaces holds %v, %v", entries, err)
	}
}

func TestLinksAndSpecialFilesAreRefused(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs links and pipes")
	}
	b := setup(t, Config{}, nil)
	b.attach(map[string]string{"real.txt": "inside", "d/x.txt": "x"})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	w := filepath.Join(b.dir, "w")
	for name, target := range map[string]string{
		"abs": secret, "rel": "../../" + filepath.Base(filepath.Dir(secret)), "dir": filepath.Dir(secret), "etc": "/etc", "in": "real.txt", "loop": "loop", "up": "..",
	} {
		if err := os.Symlink(target, filepath.Join(w, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(w, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{"abs", "rel", "dir", "dir/secret", "etc/passwd", "in", "loop", "up/w/real.txt", "pipe"} {
		if got := b.fails("read_file", map[string]string{"path": p}); strings.Contains(got, "secret") && !strings.Contains(got, `"dir/secret"`) {
			t.Errorf("read %s: %s", p, got)
		}
	}
	for _, p := range []string{"abs", "dir/new", "etc/new", "in", "pipe", "loop", "up/new"} {
		b.fails("write_file", map[string]string{"path": p, "content": "changed"})
	}
	if got, err := os.ReadFile(secret); err != nil || string(got) != "secret" {
		t.Errorf("the file outside is %q, %v", got, err)
	}
	if got := b.ok("list_files", ""); got != "d/x.txt (1 byte)\nreal.txt (6 bytes)" {
		t.Errorf("got %s", got)
	}
	if got := b.ok("search_files", `{"pattern":"secret|root"}`); !strings.HasPrefix(got, "[nothing found") {
		t.Errorf("got %s", got)
	}
	if err := b.Remove("w"); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(secret); err != nil {
		t.Errorf("removing the workspace followed a link: %v", err)
	}
}

func TestAFolderPutInPlaceOfAFolderByALinkIsNotFollowed(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("needs links")
	}
	b := setup(t, Config{}, nil)
	outside := t.TempDir()
	if err := os.Symlink(outside, filepath.Join(b.dir, "w")); err != nil {
		t.Fatal(err)
	}
	b.fails("write_file", `{"path":"a.txt","content":"x"}`)
	if entries, err := os.ReadDir(outside); err != nil || len(entries) > 0 {
		t.Errorf("outside holds %v, %v", entries, err)
	}
}

func TestAWorkspaceIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{WorkspaceMax: 1000}, nil)
	b.ok("write_file", map[string]string{"path": "a", "content": strings.Repeat("x", 900)})
	got := b.fails("write_file", map[string]string{"path": "b", "content": strings.Repeat("x", 101)})
	if want := "the workspace is full (1000 bytes): 900 bytes are used and 101 bytes more are needed; delete or shorten files that are no longer needed"; got != want {
		t.Errorf("got %s", got)
	}
	b.ok("write_file", map[string]string{"path": "a", "content": strings.Repeat("x", 1000)}) // it replaces itself
	b.ok("write_file", map[string]string{"path": "a", "content": ""})
	b.ok("write_file", map[string]string{"path": "b", "content": strings.Repeat("x", 101)})
	err := b.Attach("w", []core.File{{Name: "c", Content: make([]byte, 500)}, {Name: "d", Content: make([]byte, 500)}})
	if core.CodeOf(err) != core.CodeStorageFull {
		t.Errorf("got %v", err)
	}
	if got := b.ok("list_files", ""); got != "a (0 bytes)\nb (101 bytes)" {
		t.Errorf("files %s", got)
	}
	b.SetLimits(Config{WorkspaceMax: 5000})
	if err := b.Attach("w", []core.File{{Name: "c", Content: make([]byte, 4000)}}); err != nil {
		t.Error(err)
	}
}

func TestWritersOfOneWorkspaceTogetherStayWithinIt(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{WorkspaceMax: 1000}, nil)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			b.do("write_file", map[string]string{"path": fmt.Sprintf("f%d", i), "content": strings.Repeat("x", 300)})
		})
	}
	wg.Wait()
	if got := b.ok("list_files", ""); strings.Count(got, "(300 bytes)") != 3 {
		t.Errorf("files %s", got)
	}
}

func TestAttachedFilesAreAllThereOrNone(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	for _, files := range [][]core.File{
		{{Name: "a"}, {Name: "../b"}},
		{{Name: "a"}, {Name: "./a"}},
		{{Name: "a"}, {Name: "."}},
		{{Name: "a"}, {Name: "a/b"}},
	} {
		err := b.Attach("w", files)
		if core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%v: %v", files, err)
		}
		if e, ok := errors.AsType[*core.Error](err); files[1].Name != "a/b" && (!ok || len(e.Fields) != 1 || e.Fields[0].Field != "files[1].name") {
			t.Errorf("%v: fields of %+v", files, e)
		}
		if got := b.ok("list_files", ""); got != "[the workspace is empty]" {
			t.Errorf("%v: files %s", files, got)
		}
	}
}

func TestAWorkspaceIsRemovedWithItsFiles(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	b.attach(map[string]string{"d/a.txt": "hello", "b.txt": "x"})
	for range 2 {
		if err := b.Remove("w"); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(b.dir, "w")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

func TestAHalfWrittenFileIsNeverSeen(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	b.attach(map[string]string{"a.txt": "old"})
	// What a crash in the middle of a write leaves: a part beside the old file.
	part := filepath.Join(b.dir, "w", "."+strings.Repeat("0", 16)+tempSuffix)
	if err := os.WriteFile(part, []byte("ne"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := b.ok("list_files", ""); got != "a.txt (3 bytes)" {
		t.Errorf("got %s", got)
	}
	b.ok("write_file", `{"path":"a.txt","content":"new"}`)
	if got := b.ok("read_file", `{"path":"a.txt"}`); got != "new" {
		t.Errorf("got %s", got)
	}
}

func TestAFullDiskIsToldAsSuch(t *testing.T) {
	t.Parallel()
	for _, cause := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		err := fileError(&fs.PathError{Op: "write", Path: "/data/secret/path", Err: cause}, "a.txt")
		if core.CodeOf(err) != core.CodeStorageFull || strings.Contains(core.MessageOf(err), "secret") {
			t.Errorf("%v: %s %s", cause, core.CodeOf(err), core.MessageOf(err))
		}
	}
	if err := fileError(&fs.PathError{Op: "read", Path: "/data/secret/path", Err: syscall.EIO}, "a.txt"); core.CodeOf(err) != core.CodeInternal || strings.Contains(core.MessageOf(err), "secret") {
		t.Errorf("got %v", err)
	}
}

func FuzzNoPathLeadsOut(f *testing.F) {
	for _, p := range escapes() {
		f.Add(p)
	}
	f.Add("a/./b//c")
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "canary"), []byte("x"), 0o600); err != nil {
		f.Fatal(err)
	}
	spaces, err := openWorkspaces(dir)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { spaces.close() }) //nolint:errcheck,gosec // test
	f.Fuzz(func(t *testing.T, p string) {
		clean, err := cleanPath(p)
		if err != nil {
			return
		}
		if !filepath.IsLocal(clean) {
			t.Fatalf("%q became %q", p, clean)
		}
		if again, err := cleanPath(clean); err != nil || again != clean {
			t.Fatalf("%q became %q, then %q (%v)", p, clean, again, err)
		}
		root, err := spaces.open("w")
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close() //nolint:errcheck // test
		if err := put(root, clean, []byte("y")); err == nil {
			if _, err := openRegular(root, clean); err != nil {
				t.Fatalf("%q was written but cannot be read: %v", clean, err)
			}
		}
		entries, err := os.ReadDir(dir)
		if err != nil || len(entries) != 2 {
			t.Fatalf("%q left %v, %v", p, entries, err)
		}
		if err := spaces.base.RemoveAll("w"); err != nil {
			t.Fatal(err)
		}
	})
}
