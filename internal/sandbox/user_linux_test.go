//go:build amd64 || arm64

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A server is meant to be an ordinary user's. Where the tests are the superuser's, as in a container, they are repeated as nobody.
func TestAnOrdinaryUsersCommandsAreKeptInToo(t *testing.T) {
	if os.Getuid() != 0 {
		t.Log("all the other tests are an ordinary user's here")
		return
	}
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	t.Parallel()
	const nobody = 65534
	dir := shortDir(t)
	exe := filepath.Join(dir, "sandbox.test")
	content, err := os.ReadFile(self(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(exe, content, 0o755); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(dir, "tmp")
	if err := os.Mkdir(temp, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, temp} {
		if err := os.Chown(path, nobody, nobody); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), exe, "-test.v")
	cmd.Dir = dir
	cmd.Env = []string{"TMPDIR=" + temp, "HOME=" + temp, "PATH=" + os.Getenv("PATH"), "CI=true"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	passed := strings.Count(string(out), "--- PASS")
	if err != nil || passed < 150 {
		t.Errorf("%d tests passed: %v\n%s", passed, err, failures(string(out)))
	}
	t.Logf("%d tests passed as an ordinary user", passed)
}

// failures are the lines about what failed.
func failures(out string) string {
	var b strings.Builder
	for line := range strings.Lines(out) {
		if !strings.Contains(line, "=== ") && !strings.Contains(line, "--- PASS") {
			b.WriteString(line)
		}
	}
	return b.String()
}
