package budget

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/sutazai/sutazai/core"
)

const (
	journalName = "usage.journal"
	// rotateAt is the size in bytes from which a journal is set aside, to be removed once all of it is committed.
	rotateAt = 1 << 20
	// maxRecord bounds what a record's length may say, in bytes.
	maxRecord = 64 << 10
	// head is the length of a record and its CRC-32 (Castagnoli), 4 bytes each, little endian.
	head = 8
)

// journal keeps the calls that are not in the database yet: plain writes, which outlive the process. A record stands at a
// known place, so that the next one overwrites what a failed write left. It is not safe for concurrent use.
type journal struct {
	path  string
	file  *os.File // nil = it could not be opened
	size  int64
	old   int64 // number of the last call in the file that was set aside; 0 = there is none
	buf   []byte
	table *crc32.Table
}

// record is one call in the journal: what it adds to usage and charges to budgets.
type record struct {
	seq     int64
	key     core.UsageKey
	sum     core.UsageSum
	charges []charge
}

// charge is what a call takes from a window of a budget.
type charge struct {
	ref       core.BudgetRef
	spent     core.Amount
	uncovered core.Amount
}

func newJournal(dir string) *journal {
	return &journal{path: filepath.Join(dir, journalName), table: crc32.MakeTable(crc32.Castagnoli)}
}

func (j *journal) oldPath() string { return j.path + ".1" }

// open makes the file ready for writing, behind what it holds.
func (j *journal) open() error {
	f, err := os.OpenFile(j.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	st, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	j.file, j.size = f, st.Size()
	return nil
}

// append writes one call; the error is about the file.
func (j *journal) append(r record) error {
	if j.file == nil {
		return fs.ErrClosed
	}
	j.buf = encode(j.buf[:0], r)
	payload := j.buf[head:]
	binary.LittleEndian.PutUint32(j.buf, uint32(len(payload)))
	binary.LittleEndian.PutUint32(j.buf[4:], crc32.Checksum(payload, j.table))
	if _, err := j.file.WriteAt(j.buf, j.size); err != nil {
		return err
	}
	j.size += int64(len(j.buf))
	return nil
}

// rotate sets a large file aside that ends with the call last. It also tries to open one that could not be opened.
func (j *journal) rotate(last int64) error {
	if j.file == nil {
		return j.open()
	}
	if j.size < rotateAt || j.old != 0 {
		return nil
	}
	if err := os.Rename(j.path, j.oldPath()); err != nil {
		return err
	}
	err := j.file.Close()
	j.file, j.size, j.old = nil, 0, last
	return errors.Join(err, j.open())
}

// committed removes what is not needed once the calls up to seq are in the database.
func (j *journal) committed(seq int64) error {
	if j.old == 0 || seq < j.old {
		return nil
	}
	if err := os.Remove(j.oldPath()); err != nil {
		return err
	}
	j.old = 0
	return nil
}

// reset empties the journal: everything is committed.
func (j *journal) reset() error {
	err := os.Remove(j.oldPath())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	j.old = 0
	if j.file == nil {
		return err
	}
	j.size = 0
	return errors.Join(err, j.file.Truncate(0))
}

func (j *journal) close() error {
	if j.file == nil {
		return nil
	}
	err := j.file.Close()
	j.file = nil
	return err
}

// read gives the calls of both files to each, in order, and returns how many bytes at the ends were no whole record.
func (j *journal) read(each func(record)) (torn int, err error) {
	for _, path := range []string{j.oldPath(), j.path} {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return torn, err
		}
		for len(b) >= head {
			n := int(binary.LittleEndian.Uint32(b))
			if n == 0 || n > maxRecord || len(b) < head+n {
				break
			}
			payload := b[head : head+n]
			if crc32.Checksum(payload, j.table) != binary.LittleEndian.Uint32(b[4:]) {
				break
			}
			r, err := decode(payload)
			if err != nil {
				break
			}
			each(r)
			b = b[head+n:]
		}
		torn += len(b)
	}
	return torn, nil
}

// encode appends room for the head and the record: its numbers as varints, its texts behind their lengths.
func encode(b []byte, r record) []byte {
	b = append(b, make([]byte, head)...)
	text := func(s string) { b = append(binary.AppendUvarint(b, uint64(len(s))), s...) }
	numbers := func(list ...int64) {
		for _, n := range list {
			b = binary.AppendVarint(b, n)
		}
	}
	u := r.sum.Usage
	numbers(r.seq, r.key.Hour)
	text(r.key.Project)
	text(r.key.Key)
	text(r.key.Agent)
	text(r.key.Model)
	text(string(r.key.Kind))
	numbers(r.sum.Requests, r.sum.Errors, r.sum.CacheHits, u.InputTokens, u.OutputTokens, u.CachedTokens, u.CostMicroUSD, r.sum.SavedMicroUSD, r.sum.TookMS)
	numbers(int64(len(r.charges)))
	for _, c := range r.charges {
		text(c.ref.ID)
		numbers(c.ref.Made.UnixMilli(), windowMS(c.ref.Window), c.spent.CostMicroUSD, c.spent.Tokens, c.uncovered.CostMicroUSD, c.uncovered.Tokens)
	}
	return b
}

func decode(b []byte) (record, error) {
	var r record
	bad := false
	text := func() string {
		n, w := binary.Uvarint(b)
		if w <= 0 || n > uint64(len(b)-w) {
			bad = true
			return ""
		}
		s := string(b[w : w+int(n)])
		b = b[w+int(n):]
		return s
	}
	number := func() int64 {
		n, w := binary.Varint(b)
		if w <= 0 {
			bad = true
			return 0
		}
		b = b[w:]
		return n
	}
	r.seq, r.key.Hour = number(), number()
	r.key.Project, r.key.Key, r.key.Agent, r.key.Model = text(), text(), text(), text()
	r.key.Kind = core.UsageKind(text())
	r.sum.Requests, r.sum.Errors, r.sum.CacheHits = number(), number(), number()
	r.sum.Usage.InputTokens, r.sum.Usage.OutputTokens, r.sum.Usage.CachedTokens = number(), number(), number()
	r.sum.Usage.CostMicroUSD, r.sum.SavedMicroUSD, r.sum.TookMS = number(), number(), number()
	for n := number(); n > 0 && !bad; n-- {
		var c charge
		c.ref.ID = text()
		c.ref.Made = time.UnixMilli(number()).UTC()
		if at := number(); at != 0 {
			c.ref.Window = time.UnixMilli(at).UTC()
		}
		c.spent.CostMicroUSD, c.spent.Tokens, c.uncovered.CostMicroUSD, c.uncovered.Tokens = number(), number(), number(), number()
		r.charges = append(r.charges, c)
	}
	if bad || len(b) > 0 {
		return r, fmt.Errorf("a record of the usage journal has an unknown form")
	}
	return r, nil
}

func windowMS(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
