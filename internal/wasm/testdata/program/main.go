// Command program is a tool for tests, built for wasip1. What it does stands in its arguments. It is kept small, since every test
// compiles it.
package main

import (
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	args, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail(err)
	}
	parts := strings.Split(string(args), `"`) // {"Do":"read","Path":"a.txt"}
	do, path := parts[3], parts[7]
	switch do {
	case "greet":
		os.Stdout.WriteString("hello " + path)
	case "read":
		b, err := os.ReadFile(path)
		if err != nil {
			fail(err)
		}
		os.Stdout.Write(b)
	case "write":
		if err := os.WriteFile(path, []byte("written"), 0o600); err != nil {
			fail(err)
		}
	case "remove":
		if err := os.Remove(path); err != nil {
			fail(err)
		}
	case "open":
		for {
			if _, err := os.Open(path); err != nil {
				fail(err)
			}
		}
	case "loop":
		for {
		}
	case "sleep":
		time.Sleep(time.Hour)
	case "memory":
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
		}
	case "output":
		for {
			if _, err := os.Stdout.WriteString("a line that never ends\n"); err != nil {
				fail(err)
			}
		}
	case "environment":
		os.Stdout.WriteString(strconv.Itoa(len(os.Environ())))
	case "fail":
		fail(errors.New("as wished"))
	case "panic":
		panic("as wished")
	}
}

func fail(err error) {
	os.Stderr.WriteString(err.Error() + "\n")
	os.Exit(3)
}
