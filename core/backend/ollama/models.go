package ollama

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/internal/dialect"
)

// latest is the tag that clients add to names without one.
const latest = ":latest"

// forever is how long a loaded model stays: this dialect unloads none.
const forever = 100 * 365 * 24 * time.Hour

// details are what is known of a model. Ollama reads them from the model's file; here they come from the file's name,
// where there is one, and are empty else.
type details struct {
	ParentModel       string   `json:"parent_model"`
	Format            string   `json:"format"`
	Family            string   `json:"family"`
	Families          []string `json:"families"`
	ParameterSize     string   `json:"parameter_size"`
	QuantizationLevel string   `json:"quantization_level"`
}

// listed is a model in /api/tags. The size is not known.
type listed struct {
	Name       string  `json:"name"`
	Model      string  `json:"model"`
	ModifiedAt string  `json:"modified_at"`
	Size       int64   `json:"size"`
	Digest     string  `json:"digest"`
	Details    details `json:"details"`
}

// loaded is a model in /api/ps.
type loaded struct {
	Name      string  `json:"name"`
	Model     string  `json:"model"`
	Size      int64   `json:"size"`
	Digest    string  `json:"digest"`
	Details   details `json:"details"`
	ExpiresAt string  `json:"expires_at"`
	SizeVRAM  int64   `json:"size_vram"`
}

// shown is the answer of /api/show.
type shown struct {
	Modelfile    string         `json:"modelfile"`
	Parameters   string         `json:"parameters"`
	Template     string         `json:"template"`
	Details      details        `json:"details"`
	ModelInfo    map[string]any `json:"model_info"`
	Capabilities []string       `json:"capabilities"`
	ModifiedAt   string         `json:"modified_at"`
}

func (h *handler) running(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("Ollama is running")) // the words by which clients know such a server
}

func (h *handler) version(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]string{"version": apiVersion})
}

func (h *handler) tags(w http.ResponseWriter, r *http.Request) {
	list, err := h.Chats.List(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	out := []listed{}
	for _, m := range list {
		if _, down := silent(m); down {
			continue
		}
		out = append(out, listed{Name: m.ID, Model: m.ID, ModifiedAt: stamp(h.since), Digest: digest(m), Details: detailsOf(m)})
	}
	writeJSON(w, http.StatusOK, map[string]any{"models": out})
}

func (h *handler) ps(w http.ResponseWriter, r *http.Request) {
	list, err := h.Chats.List(r.Context())
	if err != nil {
		h.fail(w, r, err)
		return
	}
	out := []loaded{}
	for _, m := range list {
		if m.Loaded {
			out = append(out, loaded{Name: m.ID, Model: m.ID, Digest: digest(m), Details: detailsOf(m), ExpiresAt: stamp(h.Now().Add(forever))})
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"models": out})
}

func (h *handler) show(w http.ResponseWriter, r *http.Request) {
	body, err := backend.ReadBody(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	var q struct {
		Model string `json:"model"`
		Name  string `json:"name"` // the field's old name
	}
	if err := decode(body, &q); err != nil {
		h.fail(w, r, err)
		return
	}
	if q.Model == "" {
		q.Model = q.Name
	}
	m, err := h.find(r.Context(), q.Model)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	capabilities := []string{"completion"}
	if !strings.HasPrefix(m.ID, backend.AgentPrefix) { // an agent has the tools of its own file
		capabilities = append(capabilities, "tools")
	}
	writeJSON(w, http.StatusOK, shown{
		Details: detailsOf(m), ModelInfo: map[string]any{}, Capabilities: capabilities, ModifiedAt: stamp(h.since),
	})
}

// find returns a model of the list; a name that is not in it may have the tag that clients add.
func (h *handler) find(ctx context.Context, name string) (core.Model, error) {
	if name == "" {
		return core.Model{}, badRequest("model is required")
	}
	list, err := h.Chats.List(ctx)
	if err != nil {
		return core.Model{}, err
	}
	for _, id := range []string{name, strings.TrimSuffix(name, latest)} {
		if i := slices.IndexFunc(list, func(m core.Model) bool { return m.ID == id }); i >= 0 {
			return list[i], nil
		}
	}
	for _, m := range list {
		if provider, down := silent(m); down && strings.HasPrefix(name, provider+"/") {
			return core.Model{}, core.Errorf(core.CodeUnavailable, "it is not known whether there is a model %q: provider %s does not tell its models now: %s", name, provider, m.Detail)
		}
	}
	return core.Model{}, &dialect.UnknownModel{Err: core.Errorf(core.CodeNotFound, "%q is not among the models of this server; /api/tags lists them", name)}
}

// silent says whether an entry of the list stands for a provider that does not answer.
func silent(m core.Model) (provider string, is bool) { return strings.CutSuffix(m.ID, "/*") }

// digest tells models apart and stays the same. Ollama's is the hash of a model's file, which is not known here: this one
// is the hash of its name.
func digest(m core.Model) string {
	sum := sha256.Sum256([]byte(m.ID))
	return hex.EncodeToString(sum[:])
}

// The parts of a GGUF file's name, as its naming convention has them: Name-Size-Variant.Encoding.gguf.
var (
	sizeInName     = regexp.MustCompile(`(?i)[-_.](\d+(?:\.\d+)?(?:x\d+(?:\.\d+)?)?[KMBT])[-_.]`)
	encodingInName = regexp.MustCompile(`(?i)[-_.]((?:I?Q\d\w*|BF16|F16|F32))\.gguf$`)
)

func detailsOf(m core.Model) details {
	d := details{Families: []string{}}
	file := m.Detail
	if !strings.HasSuffix(file, ".gguf") {
		file = m.ID
	}
	if !strings.HasSuffix(file, ".gguf") {
		return d
	}
	d.Format = "gguf"
	if found := sizeInName.FindStringSubmatch(file); found != nil {
		d.ParameterSize = strings.ToUpper(found[1])
	}
	if found := encodingInName.FindStringSubmatch(file); found != nil {
		d.QuantizationLevel = strings.ToUpper(found[1])
	}
	return d
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }

// decode reads a body into a struct. Its errors name the field that is wrong.
func decode(body []byte, into any) error {
	if err := backend.CheckDepth(body); err != nil {
		return err
	}
	return typed(json.Unmarshal(body, into))
}
