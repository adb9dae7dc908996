// Command program is a tool for tests, built for wasip1. What it does stands in its arguments.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"time"
)

func main() {
	var args struct{ Do, Path string }
	if err := json.NewDecoder(os.Stdin).Decode(&args); err != nil {
		fail(err)
	}
	switch args.Do {
	case "greet":
		fmt.Printf("hello %s", args.Path)
	case "read":
		b, err := os.ReadFile(args.Path)
		if err != nil {
			fail(err)
		}
		os.Stdout.Write(b)
	case "write":
		if err := os.WriteFile(args.Path, []byte("written"), 0o600); err != nil {
			fail(err)
		}
	case "remove":
		if err := os.Remove(args.Path); err != nil {
			fail(err)
		}
	case "open":
		for {
			if _, err := os.Open(args.Path); err != nil {
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
			if _, err := io.WriteString(os.Stdout, "a line that never ends\n"); err != nil {
				fail(err)
			}
		}
	case "dial":
		if _, err := net.Dial("tcp", args.Path); err != nil {
			fail(err)
		}
	case "environment":
		fmt.Print(len(os.Environ()))
	case "fail":
		fail(fmt.Errorf("as wished"))
	case "panic":
		panic("as wished")
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(3)
}
