package cli

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// terminal runs a program with all three streams on a pseudo-terminal and types a line of a file whenever the cursor stands
// behind the prompt: terminal PROMPT FILE CODE program args…. What the terminal showed becomes standard output.
func terminal(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: terminal PROMPT FILE CODE program [args...]")
	}
	want, err := strconv.Atoi(args[2])
	ts.Check(err)
	path, err := exec.LookPath(args[3])
	ts.Check(err)
	keyboard, tty := openTerminal(ts)
	defer func() { _ = keyboard.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args[4:]...)
	cmd.Dir, cmd.Env = ts.MkAbs("."), append(environ(ts), "TERM=xterm", "NO_COLOR=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	ts.Check(cmd.Start())
	ts.Check(tty.Close())

	lines := bytes.SplitAfter([]byte(ts.ReadFile(args[1])), []byte("\n"))
	var shown bytes.Buffer
	answered := 0
	buffer := make([]byte, 4096)
	for {
		n, err := keyboard.Read(buffer)
		shown.Write(buffer[:n])
		if n > 0 && bytes.HasSuffix(shown.Bytes(), []byte(args[0])) && answered < len(lines) {
			_, writeErr := keyboard.Write(lines[answered])
			ts.Check(writeErr)
			answered++
		}
		if err != nil { // EIO: the program has closed the terminal
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		if _, ok := errors.AsType[*exec.ExitError](err); !ok {
			ts.Fatalf("%v", err)
		}
	}
	_, err = io.Copy(ts.Stdout(), &shown)
	ts.Check(err)
	if got := cmd.ProcessState.ExitCode(); got != want {
		ts.Fatalf("it ended with exit code %d, want %d:\n%s", got, want, shown.Bytes())
	}
}

// openTerminal makes a pseudo-terminal (pty(7)).
func openTerminal(ts *testscript.TestScript) (keyboard, tty *os.File) {
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	ts.Check(err)
	fd := int(keyboard.Fd())
	ts.Check(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0))
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	ts.Check(err)
	tty, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|syscall.O_NOCTTY, 0)
	ts.Check(err)
	return keyboard, tty
}
