// Package a2acheck owns what messages of the Agent2Agent protocol look like, in its versions 1.0 and 0.3: it finds the field
// that is wrong before anything else reads the message, so that an error can name it. It must not know what a message is for,
// nor how it travels.
package a2acheck

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/schema"
)

//go:embed messages.json
var messages []byte

//go:embed messages_v03.json
var messagesV03 []byte

// Version is a version of the protocol.
type Version string

// The versions that are known.
const (
	V10 Version = "1.0"
	V03 Version = "0.3"
)

// maxDepth bounds how deep a message may be nested.
const maxDepth = 100

// Checker holds messages to their form. It does not change and may be used by several goroutines.
type Checker struct {
	forms func() (*forms, error)
}

// forms are the compiled ones.
type forms struct {
	byVersion map[Version]map[string]*schema.Schema
	fields    map[string]string // every field's name by its lower case
}

// New returns a checker. The forms are read when the first message comes.
func New() *Checker { return &Checker{sync.OnceValues(compile)} }

func compile() (*forms, error) {
	f := &forms{map[Version]map[string]*schema.Schema{}, map[string]string{}}
	for v, raw := range map[Version][]byte{V10: messages, V03: messagesV03} {
		var defs map[string]any
		if err := json.Unmarshal(raw, &defs); err != nil {
			return nil, fmt.Errorf("forms of A2A %s: %w", v, err)
		}
		var names []string
		for name := range defs {
			if name[0] >= 'A' && name[0] <= 'Z' || strings.Contains(name, "/") { // the others are pieces of these
				names = append(names, name)
			}
		}
		f.collect(defs)
		compiled, err := schema.Definitions(fmt.Appendf(nil, `{"$defs":%s}`, raw), names)
		if err != nil {
			return nil, fmt.Errorf("forms of A2A %s: %w", v, err)
		}
		f.byVersion[v] = compiled
	}
	return f, nil
}

// collect finds the names of fields.
func (f *forms) collect(v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			if properties, ok := item.(map[string]any); ok && key == "properties" {
				for name := range properties {
					f.fields[strings.ToLower(name)] = name
				}
			}
			f.collect(item)
		}
	case []any:
		for _, item := range v {
			f.collect(item)
		}
	}
}

// Knows says whether there is a form of that name: a method's name stands for its parameters.
func (c *Checker) Knows(v Version, form string) bool {
	f, err := c.forms()
	return err == nil && f.byVersion[v][form] != nil
}

// Check holds JSON to a form. The error has CodeInvalid and names the wrong fields, below root where that is not "".
func (c *Checker) Check(v Version, form, root string, raw []byte) error {
	_, err := c.Read(v, form, root, raw)
	return err
}

// Read is Check, and returns the message without what readers might understand in different ways: a field that is there
// twice.
func (c *Checker) Read(v Version, form, root string, raw []byte) ([]byte, error) {
	f, err := c.forms()
	if err != nil {
		return nil, err
	}
	compiled := f.byVersion[v][form]
	if compiled == nil {
		return nil, core.Errorf(core.CodeInvalid, "there is no %s in A2A %s", form, v)
	}
	if err := Depth(raw); err != nil {
		return nil, err
	}
	value, err := schema.Decode(raw)
	if err != nil {
		return nil, invalid(root, syntax(raw))
	}
	if err := compiled.Validate(value); err != nil {
		return nil, wrong(root, schema.Explain(err))
	}
	if path, message := f.doubtful("", value); message != "" {
		return nil, invalid(join(root, path), message)
	}
	clean, err := json.Marshal(value)
	if err != nil {
		return nil, core.Wrap(core.CodeInternal, err, "the message cannot be written again")
	}
	return clean, nil
}

// Depth refuses JSON that is nested deeper than any message is. It does not check the syntax.
func Depth(raw []byte) error {
	if schema.DeeperThan(raw, maxDepth) {
		return core.Errorf(core.CodeInvalid, "the message is nested deeper than %d levels", maxDepth)
	}
	return nil
}

// syntax says what is wrong with a text that is not JSON.
func syntax(raw []byte) string {
	var v any
	d := json.NewDecoder(bytes.NewReader(raw))
	err := d.Decode(&v)
	switch {
	case len(bytes.TrimSpace(raw)) == 0:
		return "it is empty; a JSON object is expected"
	case err != nil:
		return "it is not JSON: it breaks at byte " + strconv.FormatInt(d.InputOffset(), 10)
	}
	return "something follows after byte " + strconv.FormatInt(d.InputOffset(), 10)
}

// wrong makes an error of what a schema says: "message.parts.0: …; configuration: …".
func wrong(root, explained string) error {
	e := core.Errorf(core.CodeInvalid, "")
	var texts []string
	for piece := range strings.SplitSeq(explained, "; ") {
		field, message, ok := strings.Cut(piece, ": ")
		if !ok || strings.ContainsAny(field, " '\"") {
			field, message = "", piece
		}
		if len(message) > 300 {
			message = strings.ToValidUTF8(message[:300], "") + "…" // some quote what they are about
		}
		field = join(root, field)
		e.Fields = append(e.Fields, core.FieldError{Field: field, Message: message})
		if len(texts) < 4 {
			texts = append(texts, cmp.Or(field, "the message")+": "+message)
		}
		if len(e.Fields) == 16 {
			break
		}
	}
	e.Message = strings.Join(texts, "; ")
	return e
}

func invalid(field, message string) error {
	e := core.Errorf(core.CodeInvalid, "%s: %s", cmp.Or(field, "the message"), message)
	e.Fields = []core.FieldError{{Field: field, Message: message}}
	return e
}

func join(root, field string) string {
	if root == "" || field == "" {
		return root + field
	}
	return root + "." + field
}

// doubtful finds what a reader might understand in another way than the form does: bytes that are not base64, names in other
// letters, whole numbers that are not written as such, characters that no database takes.
func (f *forms) doubtful(path string, v any) (where, message string) {
	switch v := v.(type) {
	case map[string]any:
		for key, item := range v {
			if name, known := f.fields[strings.ToLower(key)]; known && name != key {
				return join(path, short(key)), "write it " + name
			}
			if key == "data" || key == "metadata" || key == "params" {
				continue // a client's own
			}
			if where, message := f.doubtful(join(path, short(key)), item); message != "" {
				return where, message
			}
			text, ok := item.(string)
			if !ok || key != "raw" && key != "bytes" && key != "fileWithBytes" {
				continue
			}
			if _, err := base64.StdEncoding.DecodeString(text); err != nil {
				return join(path, key), "it is not base64"
			}
		}
	case []any:
		for i, item := range v {
			if where, message := f.doubtful(join(path, strconv.Itoa(i)), item); message != "" {
				return where, message
			}
		}
	case json.Number:
		if strings.ContainsAny(string(v), ".eE") && (strings.HasSuffix(path, "historyLength") || strings.HasSuffix(path, "pageSize")) {
			return path, "write it as a whole number"
		}
	case string:
		if strings.ContainsRune(v, 0) {
			return path, "it holds a NUL character"
		}
	}
	return "", ""
}

// short cuts a name that somebody else has made up.
func short(name string) string {
	if len(name) > 64 {
		return strings.ToValidUTF8(name[:64], "") + "…"
	}
	return name
}
