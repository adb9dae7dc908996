//go:build amd64 || arm64

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAGroupIsMadeWhereOursCanBeDivided(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	mounts := []byte("30 24 0:26 / /sys rw - sysfs sysfs rw\n31 24 0:27 / " + root + " rw shared:4 - cgroup2 cgroup2 rw\n")
	for _, x := range []struct{ name, own, controllers, want, problem string }{
		{"service", "0::/a/service\n", "cpu memory pids", "/a/service", ""},
		{"leaf", "1:name=systemd:/x\n0::/a/leaf/main\n", "memory pids", "/a/leaf", ""},
		{"lacking", "0::/a/lacking\n", "cpu pids memorystick", "", "ours cannot be divided"},
		{"old", "5:memory:/\n", "", "", "there are none of version 2"},
	} {
		if x.want != "" {
			if err := os.MkdirAll(filepath.Join(root, x.want, "main"), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, x.want, "cgroup.subtree_control"), []byte(x.controllers+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		got, err := groupParentOf(mounts, []byte(x.own))
		switch {
		case x.want != "" && (err != nil || got != filepath.Join(root, x.want)):
			t.Errorf("%s: got %q, %v", x.name, got, err)
		case x.want == "" && (err == nil || !strings.HasPrefix(err.Error(), x.problem)):
			t.Errorf("%s: got %q, %v", x.name, got, err)
		}
	}
}

// A real group without controllers, for not every machine gives them: what starts in it is in it, and ends with it.
func TestAGroupEndsWithAllThatIsInIt(t *testing.T) {
	t.Parallel()
	root := ""
	for _, dir := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(dir, "cgroup.procs")); err == nil && unix.Access(dir, unix.W_OK) == nil {
			root = dir
		}
	}
	if root == "" {
		t.Skip("no control group can be made here")
	}
	g, err := makeGroup(root, nil)
	if err != nil {
		t.Skipf("no control group can be made here: %v", err)
	}
	cmd := exec.Command("/bin/sleep", "600")
	cmd.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(g.dir.Fd())}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	name := filepath.Base(g.dir.Name())
	if b, err := os.ReadFile("/proc/" + strconv.Itoa(cmd.Process.Pid) + "/cgroup"); err != nil || !strings.Contains(string(b), "0::/"+name) {
		t.Errorf("it is in %q, %v", b, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	if err := g.end(); err != nil {
		t.Error(err)
	}
	if err := <-done; err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended with %v", err)
	}
	if _, err := os.Stat(filepath.Join(root, name)); !os.IsNotExist(err) {
		t.Errorf("the group is still there: %v", err)
	}
}
