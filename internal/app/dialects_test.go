package app

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/sutazai/sutazai/config"
	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/core/backend"
	"github.com/sutazai/sutazai/core/backend/anthropic"
	"github.com/sutazai/sutazai/core/backend/ollama"
	"github.com/sutazai/sutazai/core/backend/openai"
	"github.com/sutazai/sutazai/core/backend/responses"
	"github.com/sutazai/sutazai/services/aimodels"
	"github.com/sutazai/sutazai/services/aimodels/aimodelstest"
)

var update = flag.Bool("update", false, "write the tables of docs/dialects.md anew")

// The dialects, by which both what clients ask and what providers are asked is told.
const (
	chatAPI      = "chat"
	responsesAPI = "responses"
	messagesAPI  = "messages"
	ollamaAPI    = "ollama"
	geminiAPI    = "gemini"  // of providers only
	bedrockAPI   = "bedrock" // of providers only
)

// frontDoor is a dialect in which clients ask.
type frontDoor struct {
	api, title, path string
	base             string // the fields of every request
}

func frontDoors() []frontDoor {
	return []frontDoor{
		{chatAPI, "Chat completions", "/v1/chat/completions", `"messages":[{"role":"user","content":"Hi"}]`},
		{responsesAPI, "Responses", "/v1/responses", `"store":false,"input":[{"role":"user","content":"Hi"}]`},
		{messagesAPI, "Messages", "/v1/messages", `"max_tokens":1000,"messages":[{"role":"user","content":"Hi"}]`},
		{ollamaAPI, "Ollama", "/ollama/api/chat", `"stream":false,"messages":[{"role":"user","content":"Hi"}]`},
	}
}

// backDoor is a kind of provider, with a model whose name may count.
type backDoor struct {
	api, title, kind, path, model string
	server                        func(aimodelstest.Script, ...string) *aimodelstest.Server
	hidden                        bool // behind a provider that passes nothing on, as local is
}

func backDoors() []backDoor {
	return []backDoor{
		{chatAPI, "`openai`", "openai", "/v1", "m", aimodelstest.OpenAIServer, false},
		{chatAPI, "`azure`", "azure", "", "m", aimodelstest.AzureServer, false},
		{chatAPI, "`local`", "openai", "/v1", "m", aimodelstest.OpenAIServer, true},
		{responsesAPI, "`responses`", "responses", "/v1", "m", aimodelstest.ResponsesServer, false},
		{messagesAPI, "`anthropic`", "anthropic", "/v1", "claude-sonnet-4-5", aimodelstest.AnthropicServer, false},
		{messagesAPI, "`anthropic`, Claude 4.7", "anthropic", "/v1", "claude-opus-4-7", aimodelstest.AnthropicServer, false},
		{geminiAPI, "`gemini`", "gemini", "/v1beta", "gemini-3-flash-preview", aimodelstest.GeminiServer, false},
		{bedrockAPI, "`bedrock`, Claude", "bedrock", "", "anthropic.claude-sonnet-4-5-20250929-v1:0", aimodelstest.BedrockServer, false},
		{bedrockAPI, "`bedrock`, Nova", "bedrock", "", "amazon.nova-2-lite-v1:0", aimodelstest.BedrockServer, false},
		{ollamaAPI, "`ollama`", "ollama", "", "m", aimodelstest.OllamaServer, false},
	}
}

// bases are the fields of a request in each dialect of providers, so that a scripted server answers it.
func bases() map[string]string {
	out := map[string]string{
		geminiAPI:  `"contents":[{"role":"user","parts":[{"text":"Hi"}]}]`,
		bedrockAPI: `"messages":[{"role":"user","content":[{"text":"Hi"}]}]`,
	}
	for _, f := range frontDoors() {
		out[f.api] = f.base
	}
	return out
}

// feature is something that a request may say.
type feature struct {
	name string
	in   map[string]string // the fields that say it, by the client's dialect; a dialect without an entry has no words for it
	with map[string]string // fields that the request also has where the feature is not asked for
	out  places            // where it is looked for
	// implied is why a provider need not be told, by its title: its request is then as it is without the feature.
	implied map[string]string
	// answered looks at what the client got where the provider was told nothing. "" = the feature had no effect.
	answered func(body string) string
	// lost is why it does not arrive, by the provider's title or dialect; "" = all others. Every loss must have a reason.
	lost map[string]string
}

// places are where a feature may be found, by the provider's dialect; the first that is found counts.
type places map[string][]probe

// at adds a place: a path and a value in JSON, with " = " between. "" adds none.
func (p places) at(api, place string) places { return p.changed(api, place, "") }

// changed adds a place where the feature has another form, which the note tells.
func (p places) changed(api, place, note string) places {
	if path, value, ok := strings.Cut(place, " = "); ok {
		p[api] = append(p[api], probe{path: path, value: value, note: note})
	}
	return p
}

// gone adds a value that is missing where the feature is asked for.
func (p places) gone(api, place, note string) places {
	path, value, _ := strings.Cut(place, " = ")
	p[api] = append(p[api], probe{path: path, value: value, gone: true, note: note})
	return p
}

// probe is a value at a path of the provider's request. A * in a path is any element of a list.
type probe struct {
	path, value string // value in JSON
	gone        bool   // the value must be missing
	note        string // how the feature has changed; "" = it is kept
}

func (p probe) found(t *testing.T, body []byte) bool {
	t.Helper()
	var have, want any
	if err := json.Unmarshal(body, &have); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if err := json.Unmarshal([]byte(p.value), &want); err != nil {
		t.Fatalf("%s: %v", p.value, err)
	}
	is := slices.ContainsFunc(valuesAt(have, strings.Split(p.path, ".")), func(v any) bool { return reflect.DeepEqual(v, want) })
	return is != p.gone
}

func valuesAt(v any, path []string) []any {
	if len(path) == 0 {
		return []any{v}
	}
	switch v := v.(type) {
	case map[string]any:
		if next, ok := v[path[0]]; ok {
			return valuesAt(next, path[1:])
		}
	case []any:
		var out []any
		for i, e := range v {
			if path[0] == "*" || path[0] == strconv.Itoa(i) {
				out = append(out, valuesAt(e, path[1:])...)
			}
		}
		return out
	}
	return nil
}

// gate is every front door before one provider, which is real up to the server behind it.
type gate struct {
	handler http.Handler
	mu      sync.Mutex
	bodies  [][]byte // that reached the server
}

// twoCalls calls a tool twice where there are tools, and says hello otherwise.
func twoCalls(_ int, req core.ModelRequest) aimodelstest.Turn {
	if len(req.Tools) > 0 {
		return aimodelstest.Calls(aimodelstest.Call("look", map[string]string{"q": firstCall}), aimodelstest.Call("look", map[string]string{"q": secondCall}))
	}
	return aimodelstest.Text("Hello")
}

func newGate(t *testing.T, b backDoor, plays aimodelstest.Script) *gate {
	t.Helper()
	g := &gate{}
	script := b.server(plays, b.model)
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if r.Method == http.MethodPost {
			g.mu.Lock()
			g.bodies = append(g.bodies, body)
			g.mu.Unlock()
		}
		r.Body = io.NopCloser(bytes.NewReader(plain(b.api, body)))
		script.ServeHTTP(w, r)
	}))
	t.Cleanup(upstream.Close)
	settings := config.Provider{Kind: b.kind, BaseURL: upstream.URL + b.path, Quirks: "auto", Region: "eu-central-1"}
	if b.hidden {
		settings.Quirks = "llamacpp"
	}
	provider, err := newProvider(settings, aimodels.HTTPConfig{Name: "up", BaseURL: settings.BaseURL}, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(provider.Close)
	var seen aimodels.Provider = provider
	if b.hidden {
		seen = struct{ aimodels.Provider }{provider}
	}
	gateway, err := aimodels.NewGateway(aimodels.Config{Attempts: 1}, map[string]aimodels.Endpoint{"up": {Kind: b.kind, Provider: seen}})
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	chats := &backend.Chats{Models: gateway, Logger: log}
	mux := http.NewServeMux()
	for _, r := range slices.Concat(
		openai.Routes(openai.Deps{Chats: chats, Logger: log}), responses.Routes(responses.Deps{Chats: chats, Logger: log}),
		anthropic.Routes(anthropic.Deps{Chats: chats, Logger: log}), ollama.Routes(ollama.Deps{Chats: chats, Logger: log}),
	) {
		mux.Handle(r.Pattern, r.Handler)
	}
	g.handler = mux
	return g
}

// What the scripted model calls a tool with, twice, where it is given any.
const (
	firstCall  = "the first call"
	secondCall = "the second call"
)

// plain is what the scripted server is shown of a request, so that it answers whatever else stands in it.
func plain(api string, body []byte) []byte {
	if len(body) == 0 {
		return body
	}
	var sent, shown map[string]json.RawMessage
	if json.Unmarshal(body, &sent) != nil || json.Unmarshal([]byte("{"+bases()[api]+"}"), &shown) != nil {
		return body
	}
	for _, field := range []string{"model", "stream", "tools", "toolConfig"} {
		delete(shown, field)
		if v, ok := sent[field]; ok {
			shown[field] = v
		}
	}
	if out, err := json.Marshal(shown); err == nil {
		return out
	}
	return body
}

// ask sends a request with fields; a later one replaces an earlier one. sent is nil where nothing reached the server.
func (g *gate) ask(t *testing.T, f frontDoor, model string, fields ...string) (sent []byte, w *httptest.ResponseRecorder) {
	t.Helper()
	body := map[string]json.RawMessage{"model": json.RawMessage(strconv.Quote("up/" + model))}
	for _, s := range append([]string{f.base}, fields...) {
		if err := json.Unmarshal([]byte("{"+s+"}"), &body); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	b, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	g.mu.Lock()
	g.bodies = nil
	g.mu.Unlock()
	w = httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, f.path, bytes.NewReader(b))
	r.Header.Set("Anthropic-Version", "2023-06-01")
	g.handler.ServeHTTP(w, r)
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.bodies) > 1 {
		t.Fatalf("the server got %d requests for one", len(g.bodies))
	}
	if len(g.bodies) == 1 {
		sent = g.bodies[0]
	}
	return sent, w
}

// fate says what became of a feature: kept, changed, lost or refused, and a note where there is more to say.
func (f feature) fate(t *testing.T, g *gate, from frontDoor, to backDoor) (word, note string) {
	t.Helper()
	without, w := g.ask(t, from, to.model, f.with[from.api])
	if w.Code != http.StatusOK || without == nil {
		t.Fatalf("a request without the feature was refused: %d %s", w.Code, w.Body)
	}
	sent, w := g.ask(t, from, to.model, f.with[from.api], f.in[from.api])
	if sent == nil {
		if w.Code != http.StatusBadRequest {
			t.Errorf("refused with the status %d, not 400: %s", w.Code, w.Body)
		}
		return "refused", ""
	}
	if w.Code != http.StatusOK {
		t.Errorf("%d %s, after the server got %s", w.Code, w.Body, sent)
	}
	for _, p := range f.out[to.api] {
		if p.found(t, without) {
			if !p.gone {
				t.Errorf("%s is %s also where nobody asks for it: %s", p.path, p.value, without)
			}
			continue
		}
		if p.found(t, sent) {
			if p.note != "" {
				return "changed", p.note
			}
			return "kept", ""
		}
	}
	if why := f.implied[to.title]; why != "" && bytes.Equal(sent, without) {
		return "kept", why
	}
	if f.answered != nil {
		if how := f.answered(w.Body.String()); how != "" {
			return "changed", how
		}
	}
	why := cmp.Or(f.lost[to.title], f.lost[to.api], f.lost[""])
	if why == "" {
		t.Errorf("it is lost and nothing says why: %s", sent)
	}
	return "lost", why
}

// TestLossTable holds the tables of docs/dialects.md against what really reaches a provider.
func TestLossTable(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../../docs/dialects.md", "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
	gates := map[string]*gate{}
	for _, b := range backDoors() {
		gates[b.title] = newGate(t, b, twoCalls)
	}
	var got strings.Builder
	for _, from := range frontDoors() {
		got.WriteString(lossTable(t, from, gates))
	}
	doc, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(doc), begin)
	have, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the tables", file)
	}
	if *update {
		if err := os.WriteFile(file, []byte(before+begin+got.String()+end+after), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if have != got.String() {
		t.Errorf("the tables of %s are not what happens; review the change, then run: go test ./internal/app -run LossTable -update\n%s", file, got.String())
	}
}

// lossTable is the table of what clients of a dialect lose.
func lossTable(t *testing.T, from frontDoor, gates map[string]*gate) string {
	t.Helper()
	var out strings.Builder
	fmt.Fprintf(&out, "\n### %s (`POST %s`)\n\n| Asked for |", from.title, from.path)
	line := "|---|"
	for _, to := range backDoors() {
		out.WriteString(" " + to.title + " |")
		line += "---|"
	}
	out.WriteString("\n" + line + "\n")
	var notes []string
	for _, f := range features() {
		if f.in[from.api] == "" {
			continue
		}
		out.WriteString("| " + f.name + " |")
		for _, to := range backDoors() {
			word, note := "", ""
			if !t.Run(from.api+" "+f.name+" "+to.title, func(t *testing.T) { word, note = f.fate(t, gates[to.title], from, to) }) {
				word = "broken"
			}
			if note != "" {
				i := slices.Index(notes, note)
				if i < 0 {
					i, notes = len(notes), append(notes, note)
				}
				word += fmt.Sprintf(" (%d)", i+1)
			}
			out.WriteString(" " + word + " |")
		}
		out.WriteString("\n")
	}
	for i, n := range notes {
		if i == 0 {
			out.WriteString("\n")
		}
		fmt.Fprintf(&out, "%d. %s\n", i+1, n)
	}
	return out.String()
}
