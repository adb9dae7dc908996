//go:build amd64 || arm64

package sandbox

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// serve is a server that runs one command: its arguments are the level, the data folder, its workspace and the command.
func serve(a []string) error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	s, err := New(Config{Level: a[0]}, Deps{Helper: exe, Private: a[1], Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, cancel := testContext()
	defer cancel()
	_, err = s.Run(ctx, Command{Args: []string{"/bin/sh", "-c", a[3]}, Workspace: a[2]})
	return err
}

// A bomb is a command that uses more than it may. It must be ended, or stopped by the kernel, soon; what it leaves fits.
type bomb struct {
	name    string
	command string
	limits  Limits
	ended   string // how it is ended; "" = the kernel stops it and it goes on
	says    string // what its output holds
	python  bool   // the command is a Python program
	only    Level
}

func bombs() []bomb {
	small := Limits{Memory: 100 << 20, Processes: 40, Time: 20 * time.Second, Disk: 4 << 20, Workspace: 4 << 20, Files: 200, Output: 2000}
	short := small
	short.Time = time.Second
	few := small
	few.Time = 4 * time.Second
	with := func(change func(l *Limits)) Limits { l := small; change(&l); return l }
	return []bomb{
		{name: "processes", command: `f() { f & f & wait; }; f`, limits: few, ended: "processes"},
		{name: "processes that leave their parents", command: `f() { (setsid sh -c "sleep 100" &) ; f; }; f`, limits: few, ended: "processes"},
		{name: "threads", python: true, limits: few, ended: "processes", command: "import threading, time\nthreading.stack_size(65536)\nwhile True:\n  try: threading.Thread(target=time.sleep, args=(100,)).start()\n  except Exception: pass\n"},
		{name: "memory of one process", python: true, limits: small, says: "MemoryError", command: "b = []\nwhile True: b.append(bytearray(10000000))\n"},
		{name: "memory of many processes", python: true, limits: small, ended: "memory", command: "import os, time\nfor i in range(8):\n  if os.fork() == 0:\n    b = bytearray(50000000)\n    for i in range(0, len(b), 4096): b[i] = 1\n    time.sleep(100)\ntime.sleep(100)\n"},
		{name: "memory that is shared", python: true, limits: small, ended: "memory", command: "import mmap, time\nm = mmap.mmap(-1, 1000000000)\nfor i in range(0, len(m), 4096): m[i] = 1\ntime.sleep(100)\n"},
		{name: "one large file", command: `cat /dev/zero > big`, limits: small, says: "File size limit"},
		{name: "a large file by its length", command: `truncate -s 1T big; ls -s big; true`, limits: small, says: "truncate"},
		{name: "many large files", command: `i=0; while :; do head -c 1000000 /dev/zero > f$i; i=$((i+1)); done`, limits: small, ended: "workspace held more"},
		{name: "many small files", command: `i=0; while :; do : > f$i; i=$((i+1)); done`, limits: small, ended: "200 files"},
		{name: "many folders", command: `i=0; while :; do mkdir f$i; i=$((i+1)); done`, limits: small, ended: "200 files"},
		{name: "folders in folders", command: `while mkdir d && cd d; do :; done; sleep 100`, limits: with(func(l *Limits) { l.Files = 100_000 }), ended: "nested"},
		{name: "files without a name", python: true, limits: small, ended: "workspace held more", command: "import os, time\nfor i in range(20):\n  f = open('x', 'wb'); os.unlink('x'); f.write(bytes(1000000)); f.flush(); globals()['f%d' % i] = f\ntime.sleep(100)\n"},
		{name: "the temporary folder", command: `i=0; while head -c 1000000 /dev/zero > $TMPDIR/f$i; do i=$((i+1)); done 2>&1; echo stopped`, limits: small, says: "No space left", only: Bubblewrap},
		{name: "the temporary folder without a file system", command: `i=0; while :; do head -c 1000000 /dev/zero > $TMPDIR/f$i; i=$((i+1)); done`, limits: small, ended: "temporary folder", only: Landlock},
		{name: "shared memory's folder", command: `i=0; while head -c 1000000 /dev/zero > /dev/shm/f$i; do i=$((i+1)); done 2>&1; echo stopped`, limits: small, says: "No space left", only: Bubblewrap},
		{name: "an archive that grows", command: `gzip -dc bomb.gz > bomb`, limits: small, says: "File size limit"},
		{name: "sleep", command: `sleep 1000`, limits: short, ended: "longer than 1s"},
		{name: "a loop", command: `while :; do :; done`, limits: short, ended: "longer than 1s"},
		{name: "ignored signals", command: `trap '' TERM INT HUP QUIT; while :; do sleep 1; done`, limits: short, ended: "longer than 1s"},
		{name: "a stopped process", command: `kill -STOP $$`, limits: short, ended: "longer than 1s"},
		{name: "output", command: `yes`, limits: small, ended: "output"},
		{name: "output without lines", command: `cat /dev/zero`, limits: small, ended: "output"},
		{name: "output of errors", command: `yes >&2`, limits: small, ended: "output"},
		{name: "a dump of memory", command: `ulimit -c unlimited; kill -SEGV $$`, limits: small, says: ""},
	}
}

func TestNothingUsesMoreThanItMay(t *testing.T) {
	t.Parallel()
	var bombGz bytes.Buffer
	z := gzip.NewWriter(&bombGz)
	for range 100 {
		z.Write(make([]byte, 1<<20))
	}
	z.Close()
	each(t, func(t *testing.T, level Level) {
		for _, x := range bombs() {
			if x.only != "" && x.only != level {
				continue
			}
			t.Run(x.name, func(t *testing.T) {
				b := setup(t, level, Config{Limits: x.limits})
				b.write("bomb.gz", bombGz.String())
				b.write("kept.txt", "kept")
				marker := mark(t)
				command := fmt.Sprintf(": %s\n%s", marker, x.command)
				args := []string{"/bin/bash", "-c", command}
				if x.python {
					python, err := b.Find("python3")
					if err != nil {
						t.Fatal(err)
					}
					args = []string{python, "-I", "-c", "# " + marker + "\n" + x.command}
				}
				began := time.Now()
				res := b.run(Command{Args: args})
				if took := time.Since(began); took > 15*time.Second {
					t.Errorf("it took %s", took)
				}
				if x.ended == "processes" && level == Bubblewrap && os.Getuid() != 0 {
					x.ended = "longer than" // the kernel lets it have no more, so it goes on trying
				}
				if x.ended == "" && res.Ended != "" && !strings.HasPrefix(res.Ended, "the workspace held more") || !strings.Contains(res.Ended, x.ended) {
					t.Errorf("it was ended because %q, want %q: exit %d %.300s %.300s", res.Ended, x.ended, res.ExitCode, res.Stdout.Text, res.Stderr.Text)
				}
				if res.Ended == x.ended && !strings.Contains(res.Stdout.Text+res.Stderr.Text, x.says) {
					t.Errorf("the output does not hold %q: %.500s %.500s", x.says, res.Stdout.Text, res.Stderr.Text)
				}
				if got, err := os.ReadFile(filepath.Join(b.workspace, "kept.txt")); err != nil || string(got) != "kept" {
					t.Errorf("the file that was there is not: %q %v", got, err)
				}
				b.fits(x.limits)
				if left := survivors(marker); len(left) > 0 {
					t.Errorf("processes were left: %v", left)
				}
				if len(res.Stdout.Text) > x.limits.Output+100 || len(res.Stderr.Text) > x.limits.Output+100 {
					t.Errorf("%d and %d bytes of output were kept", len(res.Stdout.Text), len(res.Stderr.Text))
				}
			})
		}
	})
}

// fits checks that the workspace is within its bounds and that its files can be read and removed by plain means.
func (b bundle) fits(l Limits) {
	b.t.Helper()
	entries, size := 0, int64(0)
	err := filepath.WalkDir(b.workspace, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if info, err := d.Info(); err == nil && d.Type().IsRegular() {
			size += info.Size()
			if info.Name() == "core" || strings.HasPrefix(info.Name(), "core.") {
				b.t.Errorf("there is a dump: %s", path)
			}
		}
		entries++
		return nil
	})
	if err != nil || size > l.Workspace || entries > 5000 {
		b.t.Errorf("the workspace holds %d bytes in %d files and folders: %v", size, entries, err)
	}
	if err := os.RemoveAll(b.workspace); err != nil {
		b.t.Error(err)
	}
}

// mark is a text by which the processes of one test are found.
func mark(t *testing.T) string {
	t.Helper()
	return "mark-" + strconv.Itoa(os.Getpid()) + "-" + strconv.FormatInt(time.Now().UnixNano(), 36)
}

// survivors are the processes with a mark in their arguments, but for our own.
func survivors(marker string) []string {
	var found []string
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		if b, err := os.ReadFile("/proc/" + e.Name() + "/cmdline"); err == nil && bytes.Contains(b, []byte(marker)) {
			found = append(found, e.Name()+": "+string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})))
		}
	}
	return found
}

// gone waits until no process with the mark is left.
func gone(t *testing.T, marker string) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		left := survivors(marker)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes were left: %v", left)
		}
	}
}

// there waits until so many processes with the mark run.
func there(t *testing.T, marker string, count int) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); len(survivors(marker)) < count; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the command did not start: %v", survivors(marker))
		}
	}
}

func TestWhatACommandLeavesRunningEndsWithIt(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, level Level) {
		b := setup(t, level, Config{})
		marker := mark(t)
		res := b.sh(fmt.Sprintf(`for i in 1 2 3; do (setsid nohup sh -c 'trap "" TERM HUP; sleep 600; : %s' >/dev/null 2>&1 &); done; sleep 0.2; echo done`, marker))
		if res.Stdout.Text != "done\n" || res.Ended != "" || res.Took > 5*time.Second {
			t.Errorf("got %+v", res)
		}
		gone(t, marker)
	})
}

func TestCommandsEndWithTheServerHoweverItDies(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, level Level) {
		b := setup(t, level, Config{})
		temp := shortDir(t)
		for round := range 12 {
			marker := mark(t)
			server := exec.Command(self(t), attackArgument, "serve", string(level), b.private, b.workspace,
				fmt.Sprintf(`echo x > $TMPDIR/x; trap "" TERM HUP INT; (setsid sh -c 'trap "" TERM; sleep 600; : %s' &); sleep 600; : %s`, marker, marker))
			server.Env = append(os.Environ(), "TMPDIR="+temp)
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			there(t, marker, 1+round%4) // the first is the server itself, then come the sandbox's processes, then the command's
			if err := server.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			server.Wait()
			gone(t, marker)
			if left, err := filepath.Glob(filepath.Join(temp, "sutazai-command-*", "*")); err != nil || len(left) > 0 {
				t.Errorf("files were left: %v %v", left, err)
			}
		}
	})
}

func TestACancelledCommandEnds(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, level Level) {
		b := setup(t, level, Config{})
		marker := mark(t)
		ctx, cancel := testContext()
		done := make(chan error, 1)
		go func() {
			_, err := b.Run(ctx, Command{Args: []string{"/bin/sh", "-c", "trap '' TERM; sleep 600; : " + marker}, Workspace: b.workspace})
			done <- err
		}()
		there(t, marker, 1) // of the sandbox's own processes: the walls may not stand yet
		cancel()
		if err := <-done; !errors.Is(err, ctx.Err()) {
			t.Errorf("got %v", err)
		}
		gone(t, marker)
	})
}
