//go:build unix

package supervisor

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestAPipedProgramIsTalkedToAndSeenToEnd(t *testing.T) {
	t.Parallel()
	var stderr bytes.Buffer
	p, err := StartPiped(Command{Path: "/bin/sh", Args: []string{"-c", "read line; echo \"got $line\"; echo complaint >&2; exit 3"}}, &stderr, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(p, "hello")
	out, err := io.ReadAll(p)
	if err != nil || string(out) != "got hello\n" {
		t.Errorf("got %q, %v", out, err)
	}
	within(t, "the program's end", p.Exited())
	if err := p.Err(); err == nil || err.Error() != "exit status 3" || stderr.String() != "complaint\n" {
		t.Errorf("ended with %v and %q", err, stderr.String())
	}
	_ = p.Close()
	_ = p.Close() // again
}

func TestClosingAPipedProgramEndsTheWholeGroup(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	first, ended := readAll(t, path)
	p, err := StartPiped(Command{Path: "/bin/sh", Args: []string{"-c", "exec 9>" + path + "; echo up >&9; trap '' TERM; (sleep 600; sleep 600) & sleep 600; sleep 600"}}, io.Discard, 50*time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	if got := <-first; got != "up\n" {
		t.Fatalf("got %q", got)
	}
	_ = p.Close()
	within(t, "the end of the group", ended)
}

func TestAPipedProgramEndsWhenItsOwnerIsKilledHard(t *testing.T) {
	t.Parallel()
	path := fifo(t)
	first, ended := readAll(t, path)
	owner := exec.Command(os.Args[0])
	owner.Env = append(os.Environ(), fmt.Sprintf("SUPERVISOR_TEST_PIPED=trap '' TERM INT HUP; exec 9>%s; echo up >&9; sleep 600 & sleep 600; sleep 600", path))
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	if got := <-first; got != "up\n" {
		t.Fatalf("got %q", got)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	within(t, "the end of the orphans", ended)
}

// pipedHelper is what this test program does as the owner of a piped program.
func pipedHelper() bool {
	script := os.Getenv("SUPERVISOR_TEST_PIPED")
	if script == "" {
		return false
	}
	if _, err := StartPiped(Command{Path: "/bin/sh", Args: []string{"-c", script}}, io.Discard, time.Second); err == nil {
		<-context.Background().Done() // until it is killed
	}
	return true
}

func TestAPipedProgramCannotWriteToOurOutputAndSeesItsInputEnd(t *testing.T) {
	t.Parallel()
	p, err := StartPiped(Command{Path: "/bin/cat"}, io.Discard, 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		line, _ := bufio.NewReader(p).ReadString('\n')
		if line != "echoed\n" {
			t.Errorf("got %q", line)
		}
	})
	fmt.Fprintln(p, "echoed")
	wg.Wait()
	begin := time.Now()
	_ = p.Close()
	if took := time.Since(begin); took > 4*time.Second {
		t.Errorf("a program that ends with its input took %s", took)
	}
	if _, err := StartPiped(Command{Path: "/no/such/program"}, io.Discard, time.Second); err == nil {
		t.Error("a missing program started")
	}
}

func TestOpenLogKeepsOutput(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := OpenLog(dir, "erp")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(l, "said")
	_ = l.Close()
	text, err := os.ReadFile(dir + "/erp.log")
	if err != nil || !strings.Contains(string(text), "said") {
		t.Errorf("got %q, %v", text, err)
	}
}
