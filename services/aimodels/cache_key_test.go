package aimodels

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/dialect"
)

// askFor is a query with a body in a dialect.
func askFor(t testing.TB, n dialect.Name, body string) cacheQuery {
	t.Helper()
	o, err := dialect.Scan([]byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return cacheQuery{
		Call: &dialect.Call{
			Dialect: n, Body: o, Stream: o.True("stream"), Caller: core.Caller{Project: "p", Key: "k1"},
			Header: map[string]string{"a": "b"},
		},
		Route: "smart", Revision: "openai/m", Rule: CacheRule{Mode: CacheExact},
	}
}

func keyOf(t testing.TB, q cacheQuery) [32]byte {
	t.Helper()
	docs := &cacheDocuments{}
	d := docs.parse(q.Call.Body.Bytes)
	if d == nil {
		t.Fatalf("%s was not read", q.Call.Body.Bytes)
	}
	defer docs.release(d)
	return d.key(q, -1)
}

const chatBody = `{"model":"smart","temperature":0.70,"messages":[{"role":"user","content":"Hi \"you\""}],"x_unknown":{"b":[1,2.50,-1e3,null,true],"a":"é"}}`

func TestTheSameCallHasTheSameKeyHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	want := keyOf(t, askFor(t, dialect.OpenAIChat, chatBody))
	for _, body := range []string{
		"\r\n {\t\"temperature\" : 0.70 ,\n\"x_unknown\":{ \"a\":\"é\", \"b\" : [ 1 ,2.50,\n-1e3, null,true ] },\"model\":\"smart\",\"messages\":[ {\"content\":\"Hi \\\"you\\\"\",\"role\":\"user\"} ] } ",
		strings.Replace(chatBody, `"model"`, `"user":"someone","metadata":{"a":"b"},"safety_identifier":"x","prompt_cache_key":"y","service_tier":"flex","model"`, 1),
	} {
		if keyOf(t, askFor(t, dialect.OpenAIChat, body)) != want {
			t.Errorf("another key for %s", body)
		}
	}
	other := askFor(t, dialect.OpenAIChat, chatBody)
	other.Call.Caller = core.Caller{Project: "p", Key: "k2", Actor: "someone else", Run: "r"}
	other.Call.Session, other.Call.IdempotencyKey = "s", "i"
	if keyOf(t, other) != want {
		t.Error("another key of the same project has another key in the cache")
	}
}

func TestEverythingThatMattersChangesTheKey(t *testing.T) {
	t.Parallel()
	base := askFor(t, dialect.OpenAIChat, chatBody)
	seen := map[[32]byte]string{keyOf(t, base): "the call itself"}
	add := func(what string, q cacheQuery) {
		t.Helper()
		k := keyOf(t, q)
		if other, ok := seen[k]; ok {
			t.Errorf("%s has the same key as %s", what, other)
		}
		seen[k] = what
	}
	for _, r := range [][2]string{
		{`0.70`, `0.7`}, {`0.70`, `"0.70"`}, {`0.70`, `0.71`}, {`"user"`, `"system"`}, {`Hi `, `Hi  `}, {`"x_unknown"`, `"y_unknown"`},
		{`[1,2.50`, `[2.50,1`}, {`null`, `false`}, {`"a":"é"`, `"c":"é"`}, {`"smart"`, `"fast"`}, {`{"model"`, `{"stream_options":{"include_usage":true},"model"`},
		{`{"model"`, `{"n":2,"model"`}, {`{"model"`, `{"seed":1,"model"`}, {`{"model"`, `{"stream":true,"model"`}, {`{"role":"user",`, `{"user":"kept below the top","role":"user",`},
		{`"b":[1`, `"b":[[1]`}, {`"a":"é"`, `"a":"é","a":"é"`}, {`"a":"é"`, `"a":"1","a":"2"`}, {`"a":"é"`, `"a":"2","a":"1"`},
	} {
		body := strings.Replace(chatBody, r[0], r[1], 1)
		if body == chatBody {
			t.Fatalf("%s is not in the body", r[0])
		}
		add(fmt.Sprintf("%s in place of %s", r[1], r[0]), askFor(t, dialect.OpenAIChat, body))
	}
	for what, change := range map[string]func(*cacheQuery){
		"a project":             func(q *cacheQuery) { q.Call.Caller.Project = "q" },
		"no project":            func(q *cacheQuery) { q.Call.Caller.Project = "" },
		"a route":               func(q *cacheQuery) { q.Route = "fast" },
		"targets":               func(q *cacheQuery) { q.Revision = "openai/m2" },
		"a header":              func(q *cacheQuery) { q.Call.Header = map[string]string{"a": "c"} },
		"no header":             func(q *cacheQuery) { q.Call.Header = nil },
		"a stream":              func(q *cacheQuery) { q.Call.Stream = true },
		"route and its targets": func(q *cacheQuery) { q.Route, q.Revision = "smarto", "penai/m" },
	} {
		q := askFor(t, dialect.OpenAIChat, chatBody)
		change(&q)
		add(what, q)
	}
	for _, n := range []dialect.Name{dialect.OpenAIResponses, dialect.Anthropic, dialect.OllamaChat, dialect.OllamaGenerate} {
		add(string(n), askFor(t, n, chatBody))
	}
}

func TestOnlyWhatADialectSaysIsIgnored(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dialect dialect.Name
		field   string
		ignored bool
	}{
		{dialect.OpenAIChat, "metadata", true},
		{dialect.OpenAIResponses, "metadata", false}, // comes back in the answer
		{dialect.OpenAIResponses, "safety_identifier", true},
		{dialect.OpenAIResponses, "previous_response_id", false},
		{dialect.Anthropic, "metadata", true},
		{dialect.Anthropic, "user", false},
		{dialect.OllamaChat, "keep_alive", true},
		{dialect.OllamaGenerate, "keep_alive", true},
		{dialect.OllamaGenerate, "context", false},
		{dialect.OpenAIChat, "keep_alive", false},
	} {
		without := keyOf(t, askFor(t, c.dialect, `{"model":"m"}`))
		with := keyOf(t, askFor(t, c.dialect, `{"model":"m","`+c.field+`":"x"}`))
		if (with == without) != c.ignored {
			t.Errorf("%s: %s is ignored: %v, want %v", c.dialect, c.field, !c.ignored, c.ignored)
		}
	}
}

func TestWhatIsNotJSONHasNoKey(t *testing.T) {
	t.Parallel()
	docs := &cacheDocuments{}
	deep := func(n int) string { return strings.Repeat("[", n) + strings.Repeat("]", n) }
	for _, body := range []string{
		"", " ", "{", `{"a"}`, `{"a":}`, `{"a":1,}`, `{"a":1}}`, `{"a":[1,]}`, `{"a":[1}`, `{"a":"x}`, `{a:1}`, `{"a":1 "b":2}`, `{"a":tr"ue}`, deep(300), strings.Repeat("[", 1<<20),
	} {
		if d := docs.parse([]byte(body)); d != nil {
			t.Errorf("%.40q was read", body)
		}
	}
	if docs.parse([]byte(deep(250))) == nil {
		t.Error("250 nested lists were not read")
	}
}

// FuzzKeys holds that a document's key does not change with the order of its members and its white space, and does with
// anything else.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(chatBody), uint64(1))
	f.Add([]byte(`{"a":{"c":1,"b":[{"y":1,"x":"\\\""}]},"":null}`), uint64(2))
	f.Fuzz(func(t *testing.T, body []byte, seed uint64) {
		docs := &cacheDocuments{}
		d := docs.parse(body)
		if d == nil || !json.Valid(body) {
			return
		}
		form := string(d.write(nil, 0, -1, nil))
		if len(form) > len(body) || !json.Valid([]byte(form)) {
			t.Fatalf("%q became %q", body, form)
		}
		if !sameJSON(t, body, []byte(form)) {
			t.Fatalf("%q became %q, which says something else", body, form)
		}
		r := rand.New(rand.NewPCG(seed, 1))
		shuffled := rewrite(d, 0, r, -1, nil)
		e := docs.parse(shuffled)
		if e == nil || string(e.write(nil, 0, -1, nil)) != form {
			t.Fatalf("%q and its other form %q differ", body, shuffled)
		}
		at := int32(r.IntN(len(d.nodes)))
		changed := docs.parse(rewrite(d, 0, r, at, []byte(`"another value, never seen before"`)))
		if changed == nil || string(changed.write(nil, 0, -1, nil)) == form {
			t.Fatalf("%q: a changed value %d does not show", body, at)
		}
	})
}

func sameJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	read := func(b []byte) string {
		var v any
		if err := json.Unmarshal(b, &v); err != nil {
			return string(b) // numbers beyond float64
		}
		out, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	var v any
	if json.Unmarshal(a, &v) != nil {
		return true
	}
	return read(a) == read(b)
}

// rewrite writes a document with other white space and members in another order, those of one name excepted, and with
// another value at a place.
func rewrite(d *cacheDocument, node int32, r *rand.Rand, at int32, value []byte) []byte {
	gap := func() string { return []string{"", " ", "\n\t", "\r"}[r.IntN(4)] }
	if node == at {
		return value
	}
	n := d.nodes[node]
	if n.kind != '{' && n.kind != '[' {
		return d.b[n.start:n.end]
	}
	type member struct {
		name  string
		place float64
		text  string
	}
	var members []member
	place := map[string]float64{}
	for c := n.first; c >= 0; c = d.nodes[c].next {
		m := member{name: string(d.name(c)), text: string(rewrite(d, c, r, at, value))}
		if _, ok := place[m.name]; !ok {
			place[m.name] = r.Float64()
		}
		m.place = place[m.name]
		if n.kind == '[' {
			m.place = 0
		} else {
			m.text = m.name + gap() + ":" + gap() + m.text
		}
		members = append(members, m)
	}
	slices.SortStableFunc(members, func(a, b member) int {
		switch {
		case a.place < b.place:
			return -1
		case a.place > b.place:
			return 1
		}
		return 0
	})
	out := string(n.kind) + gap()
	for i, m := range members {
		if i > 0 {
			out += "," + gap()
		}
		out += m.text + gap()
	}
	return []byte(out + string(n.kind+2))
}

func TestTheQuestionIsTheUsersLastText(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dialect dialect.Name
		body    string
		want    string
	}{
		"a text":              {dialect.OpenAIChat, `{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"},{"content":"c\n\"d\"","role":"user"}]}`, "c\n\"d\""},
		"the last of parts":   {dialect.OpenAIChat, `{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"x"}},{"type":"text","text":"b"}]}]}`, "b"},
		"only images":         {dialect.OpenAIChat, `{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}`, ""},
		"a tool's result":     {dialect.OpenAIChat, `{"messages":[{"role":"user","content":"a"},{"role":"tool","content":"b"}]}`, ""},
		"no messages":         {dialect.OpenAIChat, `{"messages":[]}`, ""},
		"odd messages":        {dialect.OpenAIChat, `{"messages":{"role":"user","content":"a"}}`, ""},
		"anthropic":           {dialect.Anthropic, `{"system":"s","messages":[{"role":"user","content":[{"type":"text","text":"a"}]}]}`, "a"},
		"responses, a text":   {dialect.OpenAIResponses, `{"input":"a"}`, "a"},
		"responses, a list":   {dialect.OpenAIResponses, `{"input":[{"role":"user","content":[{"type":"input_text","text":"a"}]}]}`, "a"},
		"responses, a result": {dialect.OpenAIResponses, `{"input":[{"role":"user","content":"q"},{"type":"function_call_output","call_id":"1","output":"a"}]}`, ""},
		"ollama":              {dialect.OllamaChat, `{"messages":[{"role":"user","content":"a","images":["x"]}]}`, "a"},
		"ollama, generate":    {dialect.OllamaGenerate, `{"prompt":"a"}`, "a"},
	} {
		d := (&cacheDocuments{}).parse([]byte(c.body))
		if _, got := d.question(c.dialect); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestCallsThatDoMoreThanAnswerPassByTheCache(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		dialect dialect.Name
		body    string
		want    bool
	}{
		{dialect.OpenAIChat, `{"store":true}`, true},
		{dialect.OpenAIChat, `{"store":false}`, false},
		{dialect.OpenAIResponses, `{"conversation":"c"}`, true},
		{dialect.OpenAIResponses, `{"conversation":null,"background":true}`, true},
		{dialect.OpenAIResponses, `{"previous_response_id":"r"}`, false},
		{dialect.Anthropic, `{"store":true}`, false},
	} {
		if got := cacheStateful(askFor(t, c.dialect, c.body).Call); got != c.want {
			t.Errorf("%s %s: %v", c.dialect, c.body, got)
		}
	}
}

func benchmarkKey(b *testing.B, size int) {
	part := `{"role":"user","content":"Tell me something about the history of the city, with a line\nbreak and \"quotes\"."},`
	body := `{"model":"smart","temperature":0.2,"stream":true,"messages":[` + strings.TrimSuffix(strings.Repeat(part, size/len(part)), ",") + `]}`
	q := askFor(b, dialect.OpenAIChat, body)
	docs := &cacheDocuments{}
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		d := docs.parse(q.Call.Body.Bytes)
		d.key(q, -1)
		docs.release(d)
	}
}

func BenchmarkCacheKey1KB(b *testing.B)  { benchmarkKey(b, 1<<10) }
func BenchmarkCacheKey50KB(b *testing.B) { benchmarkKey(b, 50<<10) }
