//go:build amd64 || arm64

package sandbox

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// groupParent finds a control group in which we may make others that the kernel bounds in memory and processes: our own, or the
// one above, where a service manager has given us a tree and put us into a leaf of it.
func groupParent() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", err
	}
	return groupParentOf(mounts, own)
}

// groupParentOf reads the formats of /proc/self/mountinfo and /proc/self/cgroup; see proc(5) and cgroups(7).
func groupParentOf(mounts, own []byte) (string, error) {
	root, path := "", ""
	for line := range strings.Lines(string(mounts)) {
		before, after, ok := strings.Cut(line, " - ")
		if fields := strings.Fields(before); ok && len(fields) > 4 && strings.HasPrefix(after, "cgroup2 ") {
			root = fields[4]
		}
	}
	for line := range strings.Lines(string(own)) {
		if p, ok := strings.CutPrefix(line, "0::"); ok {
			path = strings.TrimSpace(p)
		}
	}
	if root == "" || path == "" {
		return "", errors.New("there are none of version 2")
	}
	var problem error
	for _, dir := range []string{filepath.Join(root, path), filepath.Dir(filepath.Join(root, path))} {
		if !within(dir, root) {
			continue
		}
		err := groupUsable(dir)
		if err == nil {
			return dir, nil
		}
		problem = errors.Join(problem, err)
	}
	return "", fmt.Errorf("ours cannot be divided: %s", firstLine(problem.Error()))
}

// groupUsable says whether groups below dir have the two controllers, and switches them on if it may.
func groupUsable(dir string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	has := func() error {
		b, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		for _, controller := range []string{"memory", "pids"} {
			if !bytes.Contains(append(append([]byte(" "), bytes.TrimSpace(b)...), ' '), []byte(" "+controller+" ")) {
				return fmt.Errorf("it lacks the controller %s", controller)
			}
		}
		return unix.Access(dir, unix.W_OK)
	}
	if has() == nil {
		return nil
	}
	_ = os.WriteFile(file, []byte("+memory +pids"), 0) // it fails where it is not ours or has processes of its own; has tells
	return has()
}

// group is a control group of one command.
type group struct{ dir *os.File }

// groupLimits are what the kernel is told, by file.
func groupLimits(l Limits) map[string]string {
	return map[string]string{
		"memory.max":       strconv.FormatInt(l.Memory+overheadMemory, 10),
		"memory.swap.max":  "0",
		"memory.oom.group": "1",
		"pids.max":         strconv.Itoa(l.Processes + overhead),
	}
}

func makeGroup(parent string, limits map[string]string) (*group, error) {
	path := filepath.Join(parent, "sutazai-"+rand.Text())
	if err := os.Mkdir(path, 0o700); err != nil {
		return nil, err
	}
	for file, value := range limits {
		err := os.WriteFile(filepath.Join(path, file), []byte(value), 0)
		if err != nil && !(file == "memory.swap.max" && errors.Is(err, os.ErrNotExist)) { // a kernel without swap
			return nil, errors.Join(err, os.Remove(path))
		}
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return &group{dir}, nil
}

// starved says whether the kernel ended the group for its memory.
func (g *group) starved() bool {
	f, err := os.Open(filepath.Join(g.dir.Name(), "memory.events"))
	if err != nil {
		return false
	}
	defer f.Close() //nolint:errcheck // read only
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if n, ok := strings.CutPrefix(lines.Text(), "oom_kill "); ok && n != "0" {
			return true
		}
	}
	return false
}

// end kills what is left and removes the group.
func (g *group) end() error {
	defer g.dir.Close()                                                             //nolint:errcheck // read only
	err := os.WriteFile(filepath.Join(g.dir.Name(), "cgroup.kill"), []byte("1"), 0) // Linux 5.14; without it the tree has ended by itself
	for range 200 {
		if rerr := os.Remove(g.dir.Name()); rerr == nil || errors.Is(rerr, os.ErrNotExist) {
			return nil
		}
		time.Sleep(5 * time.Millisecond) // the dead leave a moment later
	}
	return errors.Join(errors.New("the control group "+g.dir.Name()+" is not empty"), err)
}
