package a2a

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"path"
	"strings"
	"unicode"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
)

// outcome is what a task that is done has brought: its artifacts, or else what its last message says.
func (p *Peer) outcome(ctx context.Context, task *a2a.Task) ([]core.File, string, error) {
	c := collector{p: p, names: map[string]bool{}}
	for _, a := range task.Artifacts {
		if a == nil {
			continue
		}
		if err := c.parts(ctx, a.Parts, a.Name); err != nil {
			return nil, "", err
		}
	}
	text := artifactText(task)
	if m := lastMessage(task); m != nil {
		if err := c.parts(ctx, m.Parts, ""); err != nil {
			return nil, "", err
		}
		if text == "" {
			text = partsText(m.Parts)
		}
	}
	if len(c.elsewhere) > 0 {
		text = strings.TrimPrefix(text+"\n\nFiles that are elsewhere: "+strings.Join(c.elsewhere, ", "), "\n\n")
	}
	return c.files, text, nil
}

// lastMessage is the status message, or the agent's latest one in the history.
func lastMessage(task *a2a.Task) *a2a.Message {
	if task.Status.Message != nil {
		return task.Status.Message
	}
	for i := len(task.History) - 1; i >= 0; i-- {
		if m := task.History[i]; m != nil && m.Role == a2a.MessageRoleAgent {
			return m
		}
	}
	return nil
}

// collector gathers files.
type collector struct {
	p         *Peer
	files     []core.File
	names     map[string]bool
	size      int
	elsewhere []string
}

func (c *collector) parts(ctx context.Context, parts a2a.ContentParts, artifact string) error {
	for _, part := range parts {
		if part == nil {
			continue
		}
		name := part.Filename
		if name == "" {
			name = artifact
		}
		var content []byte
		switch v := part.Content.(type) {
		case a2a.Raw:
			content = v
		case a2a.URL:
			b, err := c.p.fetch(ctx, string(v))
			if err != nil {
				return err
			}
			if b == nil {
				if len(c.elsewhere) < maxFiles {
					c.elsewhere = append(c.elsewhere, short(string(v), 300))
				}
				continue
			}
			if content = b; name == "" {
				if u, err := url.Parse(string(v)); err == nil {
					name = path.Base(u.Path)
				}
			}
		default:
			continue
		}
		if len(c.files) == maxFiles {
			return core.Errorf(core.CodeInvalid, "the peer %s hands over more than %d files", c.p.o.Name, maxFiles)
		}
		if c.size += len(content); c.size > maxFileBytes {
			return core.Errorf(core.CodeInvalid, "the peer %s hands over files of more than %d bytes together", c.p.o.Name, maxFileBytes)
		}
		c.files = append(c.files, core.File{Name: c.unique(fileName(name, part.MediaType)), Content: content})
	}
	return nil
}

// unique gives a name that no other file has.
func (c *collector) unique(name string) string {
	candidate := name
	for n := 2; c.names[candidate]; n++ {
		ext := path.Ext(name)
		candidate = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(name, ext), n, ext)
	}
	c.names[candidate] = true
	return candidate
}

// fileName makes a harmless name: no folders, no control characters, no hidden files.
func fileName(name, kind string) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, ""), `\`, "/"))
	name = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || strings.ContainsRune(`<>:"|?*`, r) {
			return -1
		}
		return r
	}, name)
	name = strings.Trim(name, ". /")
	if len(name) > 120 {
		ext := path.Ext(name)
		if len(ext) > 20 {
			ext = ""
		}
		name = strings.ToValidUTF8(name[:120-len(ext)], "") + ext
	}
	if name == "" {
		name = "file"
		if ext, err := mime.ExtensionsByType(kind); err == nil && len(ext) > 0 {
			name += ext[0]
		}
	}
	return name
}

func mediaType(name string) string {
	if kind := mime.TypeByExtension(path.Ext(name)); kind != "" {
		return kind
	}
	return "application/octet-stream"
}

// fetch reads a file that the peer has at one of its hosts; nil for one that is elsewhere.
func (p *Peer) fetch(ctx context.Context, at string) ([]byte, error) {
	u, err := url.Parse(at)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || !p.allowed(u) {
		return nil, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
	if err != nil {
		return nil, nil //nolint:nilerr // no address is elsewhere, too
	}
	resp, err := p.http.Do(req)
	if err != nil {
		return nil, p.about(unwrapURL(err), "a file of peer %s cannot be read", p.o.Name)
	}
	defer resp.Body.Close() //nolint:errcheck // read only
	if resp.StatusCode != http.StatusOK {
		return nil, p.status(resp.StatusCode)
	}
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxFileBytes+1))
	if err != nil {
		return nil, p.about(err, "a file of peer %s cannot be read", p.o.Name)
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}
