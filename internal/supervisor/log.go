package supervisor

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// rotatingLog is a file that is put aside as name.1, name.2, … when it has grown to max bytes.
type rotatingLog struct {
	path string
	max  int64
	keep int

	mu   sync.Mutex
	file *os.File
	size int64
}

func openLog(path string, max int64, keep int) (*rotatingLog, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	l := &rotatingLog{path: path, max: max, keep: keep}
	return l, l.open()
}

func (l *rotatingLog) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return err
	}
	l.file, l.size = f, info.Size()
	return nil
}

// Write never fails: a full disk must not stop the process whose output it is. What cannot be written is lost.
func (l *rotatingLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(p)) > l.max {
		l.rotate()
	}
	if l.file != nil {
		n, _ := l.file.Write(p)
		l.size += int64(n)
	}
	return len(p), nil
}

func (l *rotatingLog) rotate() {
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
	name := func(n int) string { return fmt.Sprintf("%s.%d", l.path, n) }
	for n := l.keep; n > 1; n-- {
		_ = os.Rename(name(n-1), name(n)) // there may be fewer
	}
	_ = os.Rename(l.path, name(1))
	if l.open() != nil {
		l.file = nil
	}
}

// Close closes the file; what is written afterwards is lost.
func (l *rotatingLog) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
		l.file = nil
	}
}
