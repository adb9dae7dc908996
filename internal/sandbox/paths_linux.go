//go:build amd64 || arm64

package sandbox

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sutazai/sutazai/core"
)

// searchPath is the PATH of commands.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// system are the parts of the machine that commands may read: programs and what they need, nobody's data. Of /etc only what
// is named here: it also holds secrets.
func system() []string {
	list := []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"}
	for _, name := range []string{
		"alternatives", "ca-certificates", "fonts", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "localtime", "magic",
		"mime.types", "nsswitch.conf", "pki/ca-trust", "pki/tls/certs", "protocols", "services", "ssl/certs", "ssl/openssl.cnf", "terminfo", "timezone",
	} {
		list = append(list, "/etc/"+name)
	}
	return list
}

// environment is all that a command gets of one.
func environment(temp string) []string {
	return []string{
		"PATH=" + searchPath, "HOME=" + temp, "TMPDIR=" + temp, "USER=sandbox", "LOGNAME=sandbox", "SHELL=/bin/sh", "LANG=C.UTF-8", "TERM=dumb",
		"NO_COLOR=1", "PYTHONDONTWRITEBYTECODE=1",
	}
}

// Find looks a program up in PATH, ours and that of commands, and returns a path at which commands can run it. CodeUnavailable:
// there is none.
func (s *Sandbox) Find(name string) (string, error) {
	hidden := ""
	for _, dir := range filepath.SplitList(os.Getenv("PATH") + ":" + searchPath) {
		path, err := exec.LookPath(filepath.Join(dir, name))
		if err != nil || !filepath.IsAbs(path) {
			continue
		}
		if s.visible(path) {
			return path, nil
		}
		hidden = path
	}
	if hidden != "" {
		return "", core.Errorf(core.CodeUnavailable,
			"there is no %s that commands can see: %s lies in no folder that they may read. The server's operator can install one for the whole system, or name its folder in tools.sandbox.paths", name, hidden)
	}
	return "", core.Errorf(core.CodeUnavailable, "there is no %s on the server; its operator can install one for the whole system", name)
}

// visible says whether commands can read a path and what it links to.
func (s *Sandbox) visible(path string) bool {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return false
	}
	for _, p := range []string{path, real} {
		seen := false
		for _, folder := range append(system(), s.config.Paths...) {
			seen = seen || within(p, folder)
		}
		if !seen || strings.HasPrefix(p, "/etc/") {
			return false
		}
	}
	return true
}
