package local

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sutazai/sutazai/core"
)

const (
	maxRedirects = 10
	spare        = 64 << 20 // bytes that a download leaves free on the disk
	// tagSuffix is of the file that keeps which content the partial one is a part of, so that a download only goes on with the same one.
	tagSuffix  = ".part.tag"
	partSuffix = ".part"
)

// download is one file on its way.
type download struct {
	src      source
	target   string
	opt      PullOptions
	client   *http.Client
	progress func(done, total int64)

	part *os.File
	size int64     // bytes of part that are good
	hash hash.Hash // over them
	hub  string    // SHA-256 that the hub named; "" = none
}

func newDownload(src source, target string, o PullOptions, progress func(done, total int64)) *download {
	if o.Stall <= 0 {
		o.Stall = time.Minute
	}
	if o.Tries <= 0 {
		o.Tries = 4
	}
	if o.Wait <= 0 {
		o.Wait = time.Second
	}
	if o.Free == nil {
		o.Free = freeSpace
	}
	d := &download{src: src, target: target, opt: o, progress: progress, hash: sha256.New()}
	client := http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 15 * time.Second,
		ResponseHeaderTimeout: o.Stall, DisableCompression: true,
	}}
	if o.Client != nil {
		client = *o.Client
	}
	client.CheckRedirect = d.redirect
	d.client = &client
	return d
}

// redirect follows hubs to where their files are. No credential is ever sent, so another origin learns nothing; only the
// first origin is believed what the file's hash is.
func (d *download) redirect(req *http.Request, via []*http.Request) error {
	if len(via) > maxRedirects {
		return errors.New("too many redirects")
	}
	if !secure(req.URL) {
		return core.Errorf(core.CodeInvalid, "%s redirects to %s, which is not encrypted", d.src.url.Host, req.URL.Host)
	}
	d.believe(req.Response)
	return nil
}

var sha256Hex = regexp.MustCompile(`^"?([0-9a-f]{64})"?$`)

func (d *download) believe(resp *http.Response) {
	if resp == nil || resp.Request.URL.Host != d.src.url.Host || resp.Request.URL.Scheme != d.src.url.Scheme {
		return
	}
	if m := sha256Hex.FindStringSubmatch(resp.Header.Get("X-Linked-Etag")); m != nil {
		d.hub = m[1]
	}
}

// open takes the partial file for itself and takes in what is there.
func (d *download) open() error {
	f, err := os.OpenFile(d.target+partSuffix, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return core.Wrap(core.CodeInvalid, err, "%s cannot be written; check the permissions of the folder", d.target+partSuffix)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		return core.Wrap(core.CodeConflict, err, "%s is being downloaded by another command", filepath.Base(d.target))
	}
	// Another command may have finished between the two calls: then this is the model itself, and must not be touched.
	mine, err1 := f.Stat()
	named, err2 := os.Stat(d.target + partSuffix)
	if err := errors.Join(err1, err2); err != nil || !os.SameFile(mine, named) {
		f.Close()
		return core.Wrap(core.CodeConflict, err, "%s was just downloaded by another command; run this one again", filepath.Base(d.target))
	}
	d.part = f
	if d.size, err = io.Copy(d.hash, f); err != nil {
		return d.diskError(err)
	}
	return nil
}

// close leaves the partial file for the next time, unless there is nothing in it.
func (d *download) close() {
	if d.size == 0 {
		_ = os.Remove(d.target + partSuffix)
		_ = os.Remove(d.target + tagSuffix)
	}
	d.part.Close()
}

// restart throws away what is there.
func (d *download) restart() error {
	if err := d.part.Truncate(0); err != nil {
		return d.diskError(err)
	}
	if _, err := d.part.Seek(0, io.SeekStart); err != nil {
		return d.diskError(err)
	}
	d.size = 0
	d.hash.Reset()
	return nil
}

// try makes one request and takes in what comes.
func (d *download) try(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tag := d.readTag()
	if d.size > 0 && tag == "" {
		if err := d.restart(); err != nil { // what it is a part of is not known
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.src.url.String(), nil)
	if err != nil {
		return core.Wrap(core.CodeInvalid, err, "%q cannot be asked for", d.src.url.Redacted())
	}
	req.Header.Set("User-Agent", "sutazai")
	if d.size > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", d.size))
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return d.transportError(err)
	}
	defer resp.Body.Close()
	d.believe(resp)
	total, err := d.accept(resp, tag)
	if err != nil {
		return err
	}
	if there, err := d.alreadyThere(total); there || err != nil {
		return err
	}
	if free, known := d.opt.Free(filepath.Dir(d.target)); known && total > 0 && uint64(total-d.size)+spare > free {
		return core.Errorf(core.CodeStorageFull, "%s needs %d MB and %d MB are free; free some space, or set server.data_dir to another disk",
			filepath.Base(d.target), (total-d.size)>>20, free>>20)
	}
	if total < 0 || d.size < total {
		if err := d.receive(ctx, cancel, resp.Body, total); err != nil {
			return err
		}
	}
	return d.finish(total)
}

// accept checks the answer's head and returns the size of the whole file, -1 where it is not told.
func (d *download) accept(resp *http.Response, tag string) (total int64, err error) {
	if d.src.sha != "" && d.hub != "" && d.src.sha != d.hub {
		return 0, core.Errorf(core.CodeInvalid, "%s has another file than the expected one: its SHA-256 is %s and should be %s", d.src.url.Host, d.hub, d.src.sha)
	}
	now := d.tagOf(resp)
	switch resp.StatusCode {
	case http.StatusPartialContent:
		from, total, ok := contentRange(resp.Header.Get("Content-Range"))
		if !ok || from != d.size || now != tag {
			if err := d.restart(); err != nil {
				return 0, err
			}
			return 0, &temporaryError{"the file changed meanwhile", errors.New("the rest does not belong to what is there")}
		}
		return total, nil
	case http.StatusOK:
		if d.size > 0 {
			if err := d.restart(); err != nil {
				return 0, err
			}
		}
		if err := os.WriteFile(d.target+tagSuffix, []byte(now), 0o600); err != nil {
			return 0, d.diskError(err)
		}
		return resp.ContentLength, nil
	case http.StatusRequestedRangeNotSatisfiable:
		if _, total, ok := contentRange(resp.Header.Get("Content-Range")); ok && total == d.size && d.size > 0 {
			return total, nil // everything was there already
		}
		if err := d.restart(); err != nil {
			return 0, err
		}
		return 0, &temporaryError{"the file changed meanwhile", errors.New(resp.Status)}
	case http.StatusNotFound, http.StatusGone:
		return 0, core.Errorf(core.CodeNotFound, "there is no %s (HTTP %d); check the name, and that the file is public", d.src.url.Redacted(), resp.StatusCode)
	case http.StatusUnauthorized, http.StatusForbidden:
		return 0, core.Errorf(core.CodeUnauthorized, "%s wants a login for it (HTTP %d); take a file that is public, or download it yourself into the models folder", d.src.url.Host, resp.StatusCode)
	}
	if resp.StatusCode >= 500 || resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode == http.StatusRequestTimeout {
		return 0, &temporaryError{"HTTP " + strconv.Itoa(resp.StatusCode), errors.New(resp.Status)}
	}
	return 0, core.Errorf(core.CodeUnavailable, "%s answers with HTTP %d", resp.Request.URL.Host, resp.StatusCode)
}

// receive takes in the body. Its first bytes are checked before the rest is waited for.
func (d *download) receive(ctx context.Context, cancel context.CancelCauseFunc, body io.Reader, total int64) error {
	stall := time.AfterFunc(d.opt.Stall, func() { cancel(errStalled) })
	defer stall.Stop()
	d.progress(d.size, max(total, 0))
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		if d.size == 0 && n > 0 && n < len(magic) && err == nil {
			var more int
			more, err = io.ReadAtLeast(body, buf[n:], len(magic)-n)
			n += more
		}
		if n > 0 {
			if d.size == 0 && !strings.HasPrefix(string(buf[:n]), magic) {
				return core.Errorf(core.CodeInvalid, "%s is not a GGUF model file", d.src.url.Redacted())
			}
			if total >= 0 && d.size+int64(n) > total {
				return core.Errorf(core.CodeInvalid, "%s sends more than it announced", d.src.url.Host)
			}
			if _, werr := d.part.Write(buf[:n]); werr != nil {
				return d.diskError(werr)
			}
			d.hash.Write(buf[:n])
			d.size += int64(n)
			stall.Reset(d.opt.Stall)
			d.progress(d.size, max(total, 0))
		}
		switch {
		case errors.Is(err, io.EOF) && (total < 0 || d.size == total):
			return nil
		case errors.Is(context.Cause(ctx), errStalled):
			return &temporaryError{"nothing came for " + d.opt.Stall.String(), errStalled}
		case err != nil:
			return &temporaryError{"the connection broke", err}
		}
	}
}

var errStalled = errors.New("stalled")

// finish checks the whole file and gives it its name.
func (d *download) finish(total int64) error {
	if d.size < int64(len(magic)) {
		return core.Errorf(core.CodeInvalid, "%s is not a GGUF model file", d.src.url.Redacted())
	}
	sum := hex.EncodeToString(d.hash.Sum(nil))
	if want := d.want(); want != "" && sum != want {
		if err := d.restart(); err != nil {
			return err
		}
		return core.Errorf(core.CodeInvalid, "what came is not the expected file: its SHA-256 is %s and should be %s; it was thrown away", sum, want)
	}
	if err := d.part.Sync(); err != nil {
		return d.diskError(err)
	}
	if err := os.Rename(d.target+partSuffix, d.target); err != nil {
		return d.diskError(err)
	}
	_ = os.Remove(d.target + tagSuffix)
	if dir, err := os.Open(filepath.Dir(d.target)); err == nil {
		_ = dir.Sync() // best effort: not every file system can
		dir.Close()
	}
	d.progress(d.size, max(total, d.size))
	return nil
}

// want is the hash that the file must have; "" = unknown.
func (d *download) want() string {
	if d.src.sha != "" {
		return d.src.sha
	}
	return d.hub
}

// alreadyThere says whether an earlier download left this very file.
func (d *download) alreadyThere(total int64) (bool, error) {
	want := d.want()
	info, err := os.Stat(d.target)
	if err != nil || want == "" || total >= 0 && info.Size() != total {
		return false, nil
	}
	f, err := os.Open(d.target)
	if err != nil {
		return false, nil
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return false, d.diskError(err)
	}
	if hex.EncodeToString(sum.Sum(nil)) != want {
		return false, nil
	}
	d.progress(info.Size(), info.Size())
	return true, d.restart()
}

func (d *download) readTag() string {
	b, err := os.ReadFile(d.target + tagSuffix)
	if err != nil {
		return ""
	}
	return string(b)
}

// tagOf names the content of an answer, by its hash or else by where it comes from and its entity tag; "" = it cannot be
// named, and a download of it cannot go on later.
func (d *download) tagOf(resp *http.Response) string {
	if want := d.want(); want != "" {
		return "sha256:" + want
	}
	if etag := resp.Header.Get("Etag"); etag != "" && !strings.HasPrefix(etag, "W/") {
		return "etag:" + d.src.url.String() + " " + etag
	}
	return ""
}

// contentRange reads "bytes 5-9/10" and "bytes */10".
func contentRange(h string) (from, total int64, ok bool) {
	span, all, found := strings.Cut(strings.TrimPrefix(h, "bytes "), "/")
	total, err := strconv.ParseInt(all, 10, 64)
	if !found || err != nil {
		return 0, 0, false
	}
	if span == "*" {
		return 0, total, true
	}
	start, _, _ := strings.Cut(span, "-")
	from, err = strconv.ParseInt(start, 10, 64)
	return from, total, err == nil
}

func (d *download) transportError(err error) error {
	if e, ok := errors.AsType[*core.Error](err); ok {
		return e
	}
	return &temporaryError{"it cannot be reached", err}
}

func (d *download) diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return core.Wrap(core.CodeStorageFull, err, "the disk of %s is full; free some space and run the same command again", filepath.Dir(d.target))
	}
	return core.Wrap(core.CodeInternal, err, "%s cannot be written", d.target)
}
