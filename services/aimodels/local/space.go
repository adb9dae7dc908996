//go:build linux || darwin || freebsd

package local

import "syscall"

// freeSpace tells how many bytes an ordinary user may still write in a folder.
func freeSpace(dir string) (bytes uint64, known bool) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return s.Bavail * uint64(s.Bsize), true
}
