package local

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
)

// PullOptions hold the settings of a download. Zero fields take the defaults named beside them.
type PullOptions struct {
	Hub    string        // address of the model hub for refs of the form owner/model/file.gguf
	Client *http.Client  // its CheckRedirect is replaced; nil = one with sensible limits
	Stall  time.Duration // without a byte for so long, the connection is given up; 1m
	Tries  int           // tries in a row without progress; 4
	Wait   time.Duration // before the second of them; doubles; 1s
	Free   func(dir string) (bytes uint64, known bool)
}

// source is where a model file comes from.
type source struct {
	url  *url.URL
	file string // name of the file in the models folder
	sha  string // pinned SHA-256 in lower-case hex; "" = none
}

// modelPath is the form of a file on the hub: owner/model/file, where the file may lie in folders.
var modelPath = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*){2,}$`)

// IsFile says whether a ref names a file, as opposed to a name that only a model server such as Ollama knows.
func IsFile(ref string) bool {
	ref, _, _ = strings.Cut(ref, "#")
	return strings.Contains(ref, "://") || strings.HasSuffix(strings.ToLower(ref), ".gguf")
}

// Pull downloads a GGUF file into the folder dest and returns its path. ref is owner/model/file.gguf on the hub, or an
// https URL (http is allowed for this machine); "#sha256=…" behind it pins the content. progress, where it is not nil,
// gets how many bytes are there and how many there will be, 0 while that is unknown.
//
// A broken download goes on where it stopped, in the same call or the next one. The content is held to the pinned hash
// or to the one that the hub gives; without either, to its size. The file appears under its name only when it is whole.
//
// Codes: CodeInvalid (wrong ref, not a GGUF file, wrong hash), CodeNotFound, CodeUnauthorized, CodeStorageFull,
// CodeConflict (the same download runs), CodeUnavailable. When ctx ends, the error is ctx's.
func Pull(ctx context.Context, ref, dest string, o PullOptions, progress func(done, total int64)) (string, error) {
	if progress == nil {
		progress = func(int64, int64) {}
	}
	src, err := parseRef(ref, o.Hub)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dest, 0o700); err != nil {
		return "", core.Wrap(core.CodeInvalid, err, "the folder %s cannot be made; check its permissions or set server.data_dir", dest)
	}
	d := newDownload(src, filepath.Join(dest, src.file), o, progress)
	defer d.client.CloseIdleConnections()
	if err := d.open(); err != nil {
		return "", err
	}
	defer d.close()
	return d.target, d.run(ctx)
}

func parseRef(ref, hub string) (source, error) {
	base, fragment, pinned := strings.Cut(ref, "#")
	var src source
	if pinned {
		sum, ok := strings.CutPrefix(strings.ToLower(fragment), "sha256=")
		if b, err := hex.DecodeString(sum); !ok || err != nil || len(b) != 32 {
			return src, core.Errorf(core.CodeInvalid, "%q: what follows # must be sha256= and 64 hexadecimal digits", ref)
		}
		src.sha = sum
	}
	var err error
	if strings.Contains(base, "://") {
		if src.url, err = url.Parse(base); err != nil || src.url.Host == "" || src.url.User != nil {
			return src, core.Errorf(core.CodeInvalid, "%q is not a URL that can be downloaded (a user or password in it is refused)", ref)
		}
	} else {
		if !modelPath.MatchString(base) {
			return src, core.Errorf(core.CodeInvalid, "%q is neither owner/model/file.gguf nor an https URL", ref)
		}
		if src.url, err = url.Parse(strings.TrimRight(hub, "/")); err != nil || src.url.Host == "" {
			return src, core.Errorf(core.CodeInvalid, "models.local.hub: %q is not the address of a model hub", hub)
		}
		parts := strings.Split(base, "/")
		src.url = src.url.JoinPath(parts[0], parts[1], "resolve", "main", strings.Join(parts[2:], "/"))
	}
	if !secure(src.url) {
		return src, core.Errorf(core.CodeInvalid, "%s is not encrypted; use an https URL", src.url.Redacted())
	}
	src.file = path.Base(src.url.Path)
	if !strings.HasSuffix(strings.ToLower(src.file), ".gguf") || strings.ContainsAny(src.file, `\:`) || strings.HasPrefix(src.file, ".") {
		return src, core.Errorf(core.CodeInvalid, "%q does not name a GGUF file: its last part must end with .gguf", ref)
	}
	return src, nil
}

// secure says whether what comes from a URL cannot be changed on its way: by TLS, or because it does not leave the machine.
func secure(u *url.URL) bool {
	if u.Scheme == "https" {
		return true
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// run downloads until the file is whole, an error is final, or no try brings progress any more.
func (d *download) run(ctx context.Context) error {
	wait, best := d.opt.Wait, d.size
	for failed := 0; ; {
		err := d.try(ctx)
		if err == nil {
			return nil
		}
		if cerr := ctx.Err(); cerr != nil {
			return cerr
		}
		temporary, ok := errors.AsType[*temporaryError](err)
		if !ok {
			return err
		}
		if d.size > best { // not only more than the last time: a server that always begins anew would never end
			failed, wait, best = 0, d.opt.Wait, d.size
		}
		if failed++; failed >= d.opt.Tries {
			kept := ""
			if d.size > 0 {
				kept = "; what is there is kept, the same command goes on from it"
			}
			return core.Wrap(core.CodeUnavailable, temporary, "the download from %s failed %d times in a row (%s)%s", d.src.url.Host, failed, temporary.text, kept)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
		wait *= 2
	}
}

// temporaryError is a failure after which a further try makes sense.
type temporaryError struct {
	text string // for a person
	err  error
}

func (e *temporaryError) Error() string { return fmt.Sprintf("%s: %v", e.text, e.err) }
func (e *temporaryError) Unwrap() error { return e.err }
