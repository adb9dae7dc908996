//go:build amd64 || arm64

package sandbox

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// canary is a variable of our own environment that no command may see.
const canary = "SUTAZAI_TEST_CANARY"

// An attempt is one attack. In its arguments $X stands for what the test prepared.
type attempt struct {
	name     string
	attack   string
	args     []string
	control  bool  // that it succeeds outside is shown first
	rootOnly bool  // outside it takes the superuser to succeed; an ordinary user makes the attempt without the control
	only     Level // "" = every level
}

func attempts() []attempt {
	yes := func(name, attack string, args ...string) attempt {
		return attempt{name: name, attack: attack, args: args, control: true}
	}
	root := func(name, attack string, args ...string) attempt {
		return attempt{name: name, attack: attack, args: args, control: true, rootOnly: true}
	}
	bare := func(name, attack string, args ...string) attempt {
		return attempt{name: name, attack: attack, args: args}
	}
	list := []attempt{
		yes("read a file by its path", "read", "$secret"),
		yes("read a file by a path with ..", "read", "../../secret.key"),
		yes("read through a link made inside", "read_through_link", "$secret"),
		yes("read through a link with ..", "read_through_link", "../../secret.key"),
		yes("read through a hard link", "read_through_hard_link", "$secret"),
		yes("move the folder of a file inside", "read_through_moved_folder", "$spare"),
		yes("read by /proc/self/root", "read", "/proc/self/root$secret"),
		yes("read by /proc/self/cwd", "read", "/proc/self/cwd/../../secret.key"),
		bare("read by /proc/1/root", "read", "/proc/1/root$secret"),
		yes("read by the root of the server", "read", "/proc/$server/root$secret"),
		yes("list the working folder of the server", "list", "/proc/$server/cwd"),
		yes("read the server's environment", "read", "/proc/$server/environ"),
		yes("read another process's environment", "read", "/proc/$victim/environ"),
		yes("read another process's memory map", "read", "/proc/$victim/maps"),
		yes("open another process's memory", "open_write", "/proc/$victim/mem"),
		yes("read another workspace", "read", "../other/file.txt"),
		yes("list the data folder", "list", "$data"),
		yes("list the users' folders", "list", "/home"),
		root("read the password file", "read", "/etc/shadow"),
		root("read the kernel's log", "read", "/dev/kmsg"),
		yes("watch the data folder", "watch_folder", "$data"),
		yes("make a file outside", "create", "$outside"),
		yes("make a file in the data folder", "create", "$data"),
		yes("make a folder outside", "folder", "$outside"),
		yes("append to the database", "append", "$database"),
		yes("truncate a file outside", "truncate", "$spare"),
		yes("change the rights of a file outside", "chmod", "$spare"),
		yes("change the rights of a file that it may read", "fchmod", "$shown"),
		yes("change the owner of a file outside", "chown", "$spare"),
		yes("change the times of a file outside", "utimes", "$spare"),
		yes("change the times of a file that it may read", "utimes", "$shown"),
		yes("change attributes of a file outside", "xattr", "$spare"),
		yes("change attributes of a file that it may read", "fxattr", "$shown"),
		yes("change flags of a file that it may read", "setflags", "$shown"),
		yes("write a file that it may read", "append", "$shown"),
		yes("rename a file outside", "rename", "$spare"),
		yes("delete a file outside", "unlink", "$spare"),
		root("write to the system's programs", "create", "/usr/bin"),
		root("write to /etc", "create", "/etc"),
		root("change where core dumps go", "write_same", "/proc/sys/kernel/core_pattern"),
		bare("reach the system request key", "open_write", "/proc/sysrq-trigger"),
		root("make a device", "device"),
		root("mount", "mount"),
		root("mount by the newer call", "mount_new"),
		root("change the root", "chroot"),
		root("leave a namespace", "unshare"),
		yes("make a user namespace", "user_namespace"),
		root("enter a namespace", "setns", "/proc/self/ns/uts"),
		root("open a file by its handle", "handle", "$secret"),
		root("change the host's name", "hostname"),
		yes("connect by TCP", "dial", "tcp", "$tcp"),
		yes("connect by TCP over IPv6", "dial", "tcp", "$tcp6"),
		yes("send by UDP", "dial", "udp", "$udp"),
		yes("connect to the server's socket", "dial", "unix", "$socket"),
		yes("connect to an abstract socket", "dial", "unix", "$abstract"),
		yes("send a datagram to a socket's path", "datagram_of_pair", "$gram"),
		root("open a raw socket", "socket", strconv.Itoa(unix.AF_INET), strconv.Itoa(unix.SOCK_RAW), strconv.Itoa(unix.IPPROTO_ICMP)),
		root("open a packet socket", "socket", strconv.Itoa(unix.AF_PACKET), strconv.Itoa(unix.SOCK_RAW), "0"),
		yes("open a socket to the kernel", "socket", strconv.Itoa(unix.AF_NETLINK), strconv.Itoa(unix.SOCK_RAW), "0"),
		yes("open a socket to the virtual machine's host", "socket", strconv.Itoa(unix.AF_VSOCK), strconv.Itoa(unix.SOCK_STREAM), "0"),
		bare("open a socket to the kernel's ciphers", "socket", strconv.Itoa(unix.AF_ALG), strconv.Itoa(unix.SOCK_SEQPACKET), "0"),
		yes("kill another process", "kill", "$victim"),
		yes("kill another process by its descriptor", "pidfd_signal", "$victim"),
		yes("signal the server", "kill_0", "$server"),
		yes("take a descriptor of another process", "pidfd_getfd", "$victim"),
		yes("trace another process", "ptrace", "$victim"),
		yes("trace the server", "ptrace", "$server"),
		yes("read another process's memory", "process_memory", "$victim", "$address"),
		yes("limit another process", "prlimit", "$victim"),
		yes("bind another process to a processor", "affinity", "$victim"),
		yes("change another process's priority", "priority", "$victim"),
		yes("add a key", "keyring"),
		yes("make an io_uring", "io_uring"),
		root("load into the kernel", "bpf"),
		root("count events of the processor", "perf"),
		root("handle page faults", "userfaultfd"),
		yes("make memory that nobody counts", "memfd"),
		yes("make shared memory that nobody counts", "shared_memory"),
		root("become another user", "setuid"),
		root("become another user by a program", "setuid_program", "$suid", "65532"),
		yes("use a descriptor that the server left open", "descriptor", "$leak"),
		yes("read the server's variables", "variable", canary),
		root("have a capability", "capability"),
		yes("hide from those who watch", "undumpable"),
		yes("change the execution domain", "personality"),
	}
	return append(list,
		attempt{name: "fill the root folder", attack: "create", args: []string{"/"}, only: Bubblewrap},
		attempt{name: "fill the devices' folder", attack: "create", args: []string{"/dev"}, only: Bubblewrap},
		attempt{name: "change the helper", attack: "open_write", args: []string{insideHelper}, only: Bubblewrap},
	)
}

func TestNothingOutsideIsReached(t *testing.T) {
	if testing.Short() {
		t.Skip("it starts a thousand processes")
	}
	t.Parallel()
	each(t, func(t *testing.T, level Level) {
		for _, a := range attempts() {
			if a.only != "" && a.only != level {
				continue
			}
			t.Run(a.name, func(t *testing.T) {
				t.Parallel()
				b := prepare(t, level)
				args := append([]string{attackArgument, a.attack}, b.fill(a.args)...)
				if a.control && (!a.rootOnly || os.Getuid() == 0) {
					b.control(args)
					b = prepare(t, level) // it may have destroyed what it attacked
					args = append([]string{attackArgument, a.attack}, b.fill(a.args)...)
				}
				res := b.run(Command{Args: append([]string{self(t)}, args...)})
				if !strings.HasPrefix(res.Stdout.Text, "made\nrefused: ") {
					t.Errorf("the attack %q was not made, or was not refused: %+v", a.name, res)
				}
				b.intact()
			})
		}
	})
}

// target is a sandbox with things around it that are worth attacking.
type target struct {
	bundle
	values map[string]string
	victim *exec.Cmd
	leak   string
}

func prepare(t *testing.T, level Level) target {
	t.Helper()
	shown := t.TempDir()
	x := target{bundle: setup(t, level, Config{Paths: []string{self(t), shown}}), values: map[string]string{}}
	file := func(dir, name string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	v := x.values
	v["data"], v["outside"] = x.private, t.TempDir()
	v["secret"], v["database"] = file(x.private, "secret.key"), file(x.private, "sutazai.db")
	file(x.private, "workspaces/other/file.txt")
	if err := os.Rename(v["secret"], filepath.Join(x.private, "workspaces", "secret.key")); err != nil { // for ../../ see below
		t.Fatal(err)
	}
	v["secret"] = file(x.private, "secret.key")
	v["spare"], v["shown"] = file(t.TempDir(), "folder/spare"), file(shown, "shown")
	v["server"] = strconv.Itoa(os.Getpid())
	x.victim = exec.Command("/bin/sleep", "600")
	x.victim.Env = []string{"A=b"}
	if err := x.victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.victim.Process.Kill(); x.victim.Wait() })
	v["victim"] = strconv.Itoa(x.victim.Process.Pid)
	if maps, err := os.ReadFile("/proc/" + v["victim"] + "/maps"); err == nil {
		start, _, _ := strings.Cut(string(maps), "-")
		v["address"] = "0x" + start
	}
	v["tcp"], v["tcp6"] = listen(t, "tcp", "127.0.0.1:0"), listen(t, "tcp", "[::1]:0")
	v["socket"] = listen(t, "unix", filepath.Join(shortDir(t), "s"))
	v["abstract"] = listen(t, "unix", "@sutazai-test-"+v["victim"])
	v["udp"], v["gram"] = echo(t, "udp", "127.0.0.1:0"), echo(t, "unixgram", filepath.Join(shortDir(t), "g"))
	if os.Getuid() == 0 {
		v["suid"] = filepath.Join(x.workspace, "suid")
		id, err := os.ReadFile("/usr/bin/id")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(v["suid"], id, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(v["suid"], 65532, 65532); err != nil {
			t.Fatal(err)
		}
		if err := unix.Chmod(v["suid"], 0o4755); err != nil {
			t.Fatal(err)
		}
	}
	x.leak = file(t.TempDir(), "leak")
	fd, err := unix.Open(x.leak, unix.O_RDWR, 0) // without O_CLOEXEC: a child inherits it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		t.Fatal(err)
	}
	v["leak"] = strconv.FormatUint(st.Ino, 10)
	return x
}

// fill puts what was prepared in the place of $names.
func (x target) fill(args []string) []string {
	var out []string
	for _, a := range args {
		for name, value := range x.values {
			if rest, ok := strings.CutSuffix(a, "$"+name); ok {
				a = rest + value
			}
			a = strings.ReplaceAll(a, "$"+name+"/", value+"/")
		}
		for _, split := range []string{"$server", "$victim"} {
			a = strings.ReplaceAll(a, split, x.values[split[1:]])
		}
		out = append(out, a)
	}
	return out
}

// control makes the attack outside, where it must succeed.
func (x target) control(args []string) {
	x.t.Helper()
	cmd := exec.Command(self(x.t), args...)
	cmd.Dir = x.workspace
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "succeeded\n") {
		x.t.Errorf("outside the attack %v does not succeed either, so it shows nothing: %v\n%s", args[1:], err, out)
	}
}

// intact checks that what was attacked is as it was.
func (x target) intact() {
	x.t.Helper()
	for _, name := range []string{"secret", "database", "spare", "shown"} {
		b, err := os.ReadFile(x.values[name])
		info, serr := os.Stat(x.values[name])
		if err != nil || serr != nil || string(b) != "precious" || info.Mode().Perm() != 0o600 {
			x.t.Errorf("%s is not as it was: %q %v %v", name, b, err, info)
		}
	}
	if err := x.victim.Process.Signal(unix.Signal(0)); err != nil {
		x.t.Errorf("the other process is gone: %v", err)
	}
	if b, err := os.ReadFile(x.leak); err != nil || string(b) != "precious" {
		x.t.Errorf("the inherited file is not as it was: %q %v", b, err)
	}
}

// shortDir is a temporary folder whose path is short enough for a socket.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "sx")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// listen answers each connection with a byte.
func listen(t *testing.T, network, address string) string {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			io.ReadFull(c, make([]byte, 1))
			c.Write([]byte("y"))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// echo answers each datagram that has a sender.
func echo(t *testing.T, network, address string) string {
	t.Helper()
	c, err := net.ListenPacket(network, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 8)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			if from != nil {
				c.WriteTo(b[:n], from)
			}
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return c.LocalAddr().String()
}
