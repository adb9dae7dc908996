//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// How often what the kernel does not bound by itself is looked at: what the processes use together, and the disk.
const (
	watchEvery = 20 * time.Millisecond
	diskEvery  = 100 * time.Millisecond
	// slower: a look may take one part in so many of the time, however much there is to see.
	slower = 5
)

// watcher ends a command that uses too much.
type watcher struct {
	limits Limits
	tree   *tree
	base   usage
	temp   string // "" = its size is bounded by the kernel
	end    context.CancelCauseFunc
}

// watch looks until done is closed or life ends.
func (w *watcher) watch(life context.Context, done <-chan struct{}, pid int) {
	var nextDisk time.Time
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-done:
			return
		case <-life.Done():
			return
		case <-t.C:
		}
		began := time.Now()
		processes := family(pid)
		reason := w.processes(processes)
		if reason == "" && !began.Before(nextDisk) {
			reason = w.disk(processes)
			nextDisk = time.Now().Add(max(diskEvery, slower*time.Since(began)))
		}
		if reason != "" {
			w.end(endedError(reason))
			return
		}
		t.Reset(max(watchEvery, slower*time.Since(began)))
	}
}

// processes says what is wrong with their number or memory.
func (w *watcher) processes(all []member) string {
	threads, resident := 0, int64(0)
	for _, m := range all {
		threads += m.threads
		resident += m.resident()
	}
	if threads > w.limits.Processes+overhead {
		return fmt.Sprintf("it had more than %d processes and threads", w.limits.Processes)
	}
	if resident <= w.limits.Memory {
		return ""
	}
	// What processes share was counted more than once: take the time to count it right.
	proportional := int64(0)
	for _, m := range all {
		proportional += m.proportional()
	}
	if proportional > w.limits.Memory+overheadMemory {
		return fmt.Sprintf("it used more than %s of memory", sizeText(w.limits.Memory))
	}
	return ""
}

// What is ours around a command, threads and bytes: the supervisor, bubblewrap, and the helper while it starts.
const (
	overhead       = 32
	overheadMemory = 64 << 20
)

// disk says what is wrong with the files.
func (w *watcher) disk(all []member) string {
	if free, reserve := w.tree.space(); free < reserve {
		return "the server's disk is nearly full"
	}
	size, entries := max(w.limits.Workspace, w.base.size), max(w.limits.Files, w.base.entries)
	used, err := w.tree.usage(entries, size)
	switch {
	case err != nil:
		return "its files could not be watched"
	case used.deep:
		return fmt.Sprintf("it nested folders deeper than %d", maxDepth)
	case used.entries > entries:
		return fmt.Sprintf("the workspace had more than %d files and folders", entries)
	}
	temp, problem := w.tempUsage()
	if problem != "" {
		return problem
	}
	// Files without a name take space too, while a process holds them.
	var root unix.Stat_t
	if err := unix.Fstat(w.tree.fd(), &root); err != nil {
		return "its files could not be watched"
	}
	nameless := int64(0)
	seen := map[uint64]bool{}
	for _, m := range all {
		nameless += m.nameless(root.Dev, seen)
	}
	switch {
	case used.size+nameless > size:
		return fmt.Sprintf("the workspace held more than %s", sizeText(size))
	case temp > w.limits.Disk:
		return fmt.Sprintf("its temporary folder held more than %s", sizeText(w.limits.Disk))
	}
	return ""
}

// tempUsage is the size of the temporary folder, or what is wrong with it. It is gone once the command has ended: a command
// itself cannot remove it.
func (w *watcher) tempUsage() (size int64, problem string) {
	if w.temp == "" {
		return 0, ""
	}
	temp, err := openTree(w.temp)
	if errors.Is(err, unix.ENOENT) {
		return 0, ""
	}
	if err != nil {
		return 0, "its files could not be watched"
	}
	defer temp.close()
	in, err := temp.usage(w.limits.Files, w.limits.Disk)
	if err != nil || in.deep || in.entries > w.limits.Files {
		return 0, "its temporary folder held too many files or folders"
	}
	return in.size, ""
}

func sizeText(n int64) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MB", n>>20)
	}
	return fmt.Sprintf("%d kB", n>>10)
}

// member is one process of a family.
type member struct {
	dir     string // in /proc
	threads int
}

// family lists a process and all that descend from it. What ends meanwhile is left out.
func family(pid int) []member {
	var all []member
	for waiting := []string{strconv.Itoa(pid)}; len(waiting) > 0; {
		m := member{dir: "/proc/" + waiting[0]}
		waiting = waiting[1:]
		tasks, err := os.ReadDir(m.dir + "/task")
		if err != nil {
			continue
		}
		for _, t := range tasks {
			m.threads++
			children, err := os.ReadFile(m.dir + "/task/" + t.Name() + "/children")
			if err == nil {
				waiting = append(waiting, strings.Fields(string(children))...)
			}
		}
		all = append(all, m)
	}
	return all
}

// resident is the memory that a process has in use, in bytes, what it shares included.
func (m member) resident() int64 {
	b, err := os.ReadFile(m.dir + "/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// proportional is the memory of a process in bytes without that of files, what is shared divided by those who share it.
func (m member) proportional() int64 {
	b, err := os.ReadFile(m.dir + "/smaps_rollup")
	if err != nil {
		return m.resident() // it hides: count all
	}
	sum := int64(0)
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) == 3 && (fields[0] == "Pss_Anon:" || fields[0] == "Pss_Shmem:") {
			kB, err := strconv.ParseInt(fields[1], 10, 64)
			if err == nil {
				sum += kB << 10
			}
		}
	}
	return sum
}

// nameless is the size of open files on a device that have no name any more.
func (m member) nameless(device uint64, seen map[uint64]bool) int64 {
	dir, err := os.Open(m.dir + "/fd")
	if err != nil {
		return 0
	}
	defer dir.Close() //nolint:errcheck // read only
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return 0
	}
	sum := int64(0)
	for _, name := range names {
		var st unix.Stat_t
		if unix.Fstatat(int(dir.Fd()), name, &st, 0) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Nlink > 0 || st.Dev != device || seen[st.Ino] {
			continue
		}
		seen[st.Ino] = true
		sum += st.Size
	}
	return sum
}
