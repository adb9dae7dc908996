package guardrails

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sutazai/sutazai/core"
)

// checker is a policy with one outside checker, whose server answers with handle.
type checker struct {
	policy *Policy
	log    bytes.Buffer
	mu     sync.Mutex
	seen   []Action
}

func newChecker(t *testing.T, c Check, handle http.HandlerFunc) *checker {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	c.Kind, c.URL = KindHTTP, server.URL+"/analyze"
	return newCheckerOver(t, c, server.Client().Transport)
}

func newCheckerOver(t *testing.T, c Check, transport http.RoundTripper) *checker {
	t.Helper()
	out := &checker{}
	g, err := New(Config{Policies: map[string][]Check{"p": {c}}}, Deps{
		Transport: transport, Logger: slog.New(slog.NewTextHandler(&out.log, nil)),
		Observe: func(_, _ string, _ Direction, a Action) {
			out.mu.Lock()
			out.seen = append(out.seen, a)
			out.mu.Unlock()
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	out.policy, _ = g.Policy("p")
	return out
}

func answer200(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }
}

// analyzer is a scripted Presidio analyzer: it finds the word Jane, by character offsets.
func analyzer(t *testing.T, calls *[]analyze) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		var q analyze
		if err := json.NewDecoder(r.Body).Decode(&q); err != nil || r.Method != http.MethodPost || r.URL.Path != "/analyze" {
			t.Errorf("a wrong question: %v %s %s", err, r.Method, r.URL.Path)
		}
		mu.Lock()
		*calls = append(*calls, q)
		mu.Unlock()
		found := []entity{}
		chars := []rune(q.Text)
		for i := range chars {
			if strings.HasPrefix(string(chars[i:]), "Jane") {
				found = append(found, entity{"PERSON", i, i + 4, 0.85}, entity{"NRP", i, i + 4, 0.3})
			}
		}
		_ = json.NewEncoder(w).Encode(found)
	}
}

func TestAPresidioAnalyzersFindingsAreRedacted(t *testing.T) {
	t.Parallel()
	var calls []analyze
	c := newChecker(t, Check{Format: Presidio, Action: Redact, Types: []string{"PERSON"}}, analyzer(t, &calls))
	out, found, err := c.policy.Pass(Input, nil).JSON(t.Context(),
		[]byte(`{"messages":[{"role":"user","content":"Grüße, 😀 Jane!"},{"role":"user","content":"no name"},{"role":"user","content":"Jane"}]}`))
	if want := `{"messages":[{"role":"user","content":"Grüße, 😀 [person]!"},{"role":"user","content":"no name"},{"role":"user","content":"[person]"}]}`; err != nil || string(out) != want {
		t.Fatalf("%s, %v", out, err)
	}
	if len(calls) != 1 || calls[0].Language != "en" || calls[0].Threshold != 0.5 || len(calls[0].Entities) != 1 {
		t.Errorf("the texts of one request are asked about in one call: %+v", calls)
	}
	if len(found) != 2 || found[0] != (Finding{Check: "http", Kind: "person", Text: 0, Start: 14, End: 18, Action: Redact}) || found[1].Text != 2 || found[1].Start != 0 {
		t.Errorf("found %+v", found)
	}
}

func TestAPresidioAnalyzerIsAskedAboutAStreamSentenceBySentence(t *testing.T) {
	t.Parallel()
	var calls []analyze
	c := newChecker(t, Check{Format: Presidio, Action: Redact}, analyzer(t, &calls))
	text := strings.Repeat("Some words that say little, then a name: Jane, who said yes. ", 30) + strings.Repeat("x", 5000) + " Jane"
	want := strings.ReplaceAll(text, "Jane", "[person]")
	windows := 0
	for _, size := range []int{1, 13, 700, len(text)} {
		calls = nil
		out := inPieces(t, c.policy, text, []int{size})
		if out.Text != want {
			t.Fatalf("pieces of %d: %q", size, out.Text)
		}
		for _, f := range out.Findings {
			if text[f.Start:f.End] != "Jane" {
				t.Errorf("a finding is at %q", text[f.Start:f.End])
			}
		}
		if windows == 0 {
			windows = len(calls)
		}
		if len(calls) != windows || windows < 8 {
			t.Errorf("pieces of %d: %d calls, and %d with other pieces", size, len(calls), windows)
		}
		for _, q := range calls {
			if len(q.Text) > streamMax {
				t.Errorf("a call about %d bytes", len(q.Text))
			}
		}
	}
}

func TestAGenericCheckersAnswerIsFollowed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		action Action
		answer string
		text   string // "" = blocked
	}{
		"allow":                       {Redact, `{"action":"allow"}`, "say Jane"},
		"block":                       {Redact, `{"action":"block","findings":[{"kind":"NAME","start":4,"end":8}]}`, ""},
		"redact with its own text":    {Redact, `{"action":"redact","text":"say J."}`, "say J."},
		"redact by findings":          {Redact, `{"action":"redact","findings":[{"kind":"NAME","start":4,"end":8}],"more":1}`, "say [name]"},
		"block where it would redact": {Block, `{"action":"redact","text":"say J."}`, ""},
		"only flag":                   {Flag, `{"action":"block"}`, "say Jane"},
		"a kind that is no word":      {Redact, `{"action":"redact","findings":[{"kind":"<b>","start":4,"end":8}]}`, "say [pii]"},
	} {
		var q question
		h := newChecker(t, Check{Action: c.action, Name: "theirs"}, func(w http.ResponseWriter, r *http.Request) {
			_ = json.NewDecoder(r.Body).Decode(&q)
			_, _ = io.WriteString(w, c.answer)
		})
		out, err := h.policy.Pass(Input, map[string]string{"agent": "a"}).Text(t.Context(), "say Jane")
		switch {
		case c.text == "" && core.CodeOf(err) != core.CodeRefused, c.text != "" && (err != nil || out.Text != c.text):
			t.Errorf("%s: %q, %v", name, out.Text, err)
		case c.text == "" && strings.Contains(err.Error(), "Jane"):
			t.Errorf("%s: the error tells what was found: %v", name, err)
		}
		if q.Text != "say Jane" || q.Direction != Input || q.Policy != "p" || q.Check != "theirs" || q.Metadata["agent"] != "a" {
			t.Errorf("%s: it was asked %+v", name, q)
		}
	}
}

func TestAWrongAnswerFailsClosedOrOpen(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		format Format
		handle http.HandlerFunc
	}{
		"no JSON":              {Generic, answer200("<html>the secret Jane</html>")},
		"another form":         {Generic, answer200(`["Jane"]`)},
		"no action":            {Generic, answer200(`{}`)},
		"an unknown action":    {Generic, answer200(`{"action":"Jane"}`)},
		"redact what":          {Generic, answer200(`{"action":"redact"}`)},
		"beyond the text":      {Presidio, answer200(`[{"entity_type":"PERSON","start":4,"end":99,"score":1}]`)},
		"backwards":            {Presidio, answer200(`[{"entity_type":"PERSON","start":4,"end":4,"score":1}]`)},
		"before the text":      {Presidio, answer200(`[{"entity_type":"PERSON","start":-1,"end":4,"score":1}]`)},
		"an error":             {Presidio, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Jane", http.StatusInternalServerError) }},
		"another place":        {Presidio, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/x", http.StatusFound) }},
		"a huge answer":        {Presidio, answer200("[" + strings.Repeat(" ", 1<<20) + "]")},
		"an answer cut in two": {Presidio, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	} {
		for _, fail := range []Fail{Closed, Open} {
			h := newChecker(t, Check{Format: c.format, Fail: fail, Action: Redact}, c.handle)
			out, err := h.policy.CheckText(t.Context(), Input, "say Jane")
			switch {
			case fail == Open && (err != nil || out.Text != "say Jane"):
				t.Errorf("%s, open: %q, %v", name, out.Text, err)
			case fail == Closed && core.CodeOf(err) != core.CodeUnavailable:
				t.Errorf("%s, closed: %v", name, err)
			case fail == Closed && (strings.Contains(core.MessageOf(err), "http") && !strings.Contains(core.MessageOf(err), "p/http") || strings.Contains(err.Error(), "Jane")):
				t.Errorf("%s: the error tells too much: %v", name, err)
			}
			if len(h.seen) != 1 || h.seen[0] != ActionError {
				t.Errorf("%s: the failure was counted as %v", name, h.seen)
			}
			if log := h.log.String(); !strings.Contains(log, "check=http") || strings.Contains(log, "Jane") {
				t.Errorf("%s: the log says %s", name, log)
			}
		}
	}
}

// transport answers calls in place of a server.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestACheckerThatHangsIsGivenUpAtItsTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newCheckerOver(t, Check{Kind: KindHTTP, URL: "http://checker.example/", Timeout: 2 * time.Second}, transport(func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}))
		start := time.Now()
		_, err := h.policy.CheckText(t.Context(), Input, "text")
		if core.CodeOf(err) != core.CodeUnavailable || time.Since(start) != 2*time.Second {
			t.Errorf("after %s: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err = h.policy.CheckText(ctx, Input, "text"); core.CodeOf(err) != core.CodeCancelled {
			t.Errorf("a request that ended: %v", err)
		}
	})
}

func TestWhatAnOpenCheckerDidAnswerCounts(t *testing.T) {
	t.Parallel()
	answered := make(chan struct{})
	h := newCheckerOver(t, Check{Kind: KindHTTP, URL: "http://checker.example/", Fail: Open, Action: Redact}, transport(func(r *http.Request) (*http.Response, error) {
		var q question
		_ = json.NewDecoder(r.Body).Decode(&q)
		if q.Text == "lost" {
			<-answered
			return nil, errors.New("reset")
		}
		close(answered)
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(`{"action":"redact","text":"x"}`))}, nil
	}))
	texts, _, err := h.policy.Pass(Input, nil).Texts(t.Context(), []string{"lost", "found"})
	if err != nil || texts[0] != "lost" || texts[1] != "x" {
		t.Errorf("%q, %v", texts, err)
	}
}

func TestHeadersAreSentAndWhiteSpaceIsNotAskedAbout(t *testing.T) {
	t.Parallel()
	calls := 0
	h := newChecker(t, Check{Headers: map[string]string{"Authorization": "Bearer t"}}, func(w http.ResponseWriter, r *http.Request) {
		calls++
		if r.Header.Get("Authorization") != "Bearer t" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("headers: %v", r.Header)
		}
		_, _ = io.WriteString(w, `{"action":"allow"}`)
	})
	for _, text := range []string{"", " \n", "x"} {
		if _, err := h.policy.CheckText(t.Context(), Input, text); err != nil {
			t.Error(err)
		}
	}
	if calls != 1 {
		t.Errorf("it was asked %d times", calls)
	}
}

func TestLongTextsAreAskedAboutInParts(t *testing.T) {
	t.Parallel()
	h := newChecker(t, Check{Action: Redact, Max: streamMax}, func(w http.ResponseWriter, r *http.Request) {
		var q question
		_ = json.NewDecoder(r.Body).Decode(&q)
		if len(q.Text) > streamMax {
			t.Errorf("a call about %d bytes", len(q.Text))
		}
		text := strings.ReplaceAll(q.Text, "Jane", "J.")
		_ = json.NewEncoder(w).Encode(reply{Action: "redact", Text: &text})
	})
	text := strings.Repeat("Jane is here. ", 1000)
	out, err := h.policy.CheckText(t.Context(), Input, text)
	if err != nil || out.Text != strings.ReplaceAll(text, "Jane", "J.") {
		t.Errorf("%d bytes became %d: %v", len(text), len(out.Text), err)
	}
}
