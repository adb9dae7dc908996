package main

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf16"

	"pgregory.net/rapid"

	"github.com/sutazai/sutazai/core"
)

func TestErrorsOfTheServerBecomeMessagesAndExitCodes(t *testing.T) {
	t.Parallel()
	problem := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		exit    int
		says    string
	}{
		"nearest agent": {problem(404, `{"detail":"no agent \"assistent\" (did you mean \"assistant\"?)","code":"not_found"}`), exitNotFound, "did you mean"},
		"wrong key":     {problem(401, `{"detail":"the key is not valid","code":"unauthorized"}`), exitNotAllowed, "the key is not valid"},
		"no right":      {problem(403, `{"detail":"the key may not do that","code":"forbidden"}`), exitNotAllowed, "may not"},
		"fields":        {problem(422, `{"title":"Invalid input","code":"invalid","errors":[{"field":"agent","message":"is empty"}]}`), exitUsage, "agent: is empty"},
		"full":          {problem(507, `{"detail":"no space left","code":"storage_full"}`), exitFailed, "no space left"},
		"too many":      {problem(429, `{"detail":"too many requests","code":"rate_limited"}`), exitLimit, "too many"},
		"a newer code":  {problem(403, `{"detail":"it is so","code":"brand_new"}`), exitNotAllowed, "it is so"},
		"a proxy":       {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", 502) }, exitUnreachable, "is it the address of a SutazAI server?"},
		"no server":     {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>welcome")) }, exitFailed, "not what a SutazAI server sends"},
		"a redirect": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://elsewhere.example/", http.StatusFound)
		}, exitUnreachable, "http://elsewhere.example/"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := httptest.NewServer(tc.handler)
			defer s.Close()
			callWith(t.Context(), nil, terminals{}, "--server", s.URL, "agents", "list").want(t, tc.exit, tc.says)
		})
	}
}

func TestAServerThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	_ = l.Close()
	callWith(t.Context(), nil, terminals{}, "--server", address, "agents", "list").want(t, exitUnreachable, "cannot reach "+address, "refused")
	callWith(t.Context(), nil, terminals{}, "--server", "localhost:8080", "agents", "list").want(t, exitUsage, "http://127.0.0.1:8080")
	callWith(t.Context(), nil, terminals{}, "--server", "http://u:p@localhost", "agents", "list").want(t, exitUsage, "--api-key")
}

func TestTheKeyGoesToTheServerAndNowhereElse(t *testing.T) {
	t.Parallel()
	var got []string
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		got = append(got, "other "+r.Header.Get("Authorization"))
	}))
	defer other.Close()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = append(got, r.Header.Get("Authorization"))
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	}))
	defer s.Close()
	callWith(t.Context(), nil, terminals{}, "--server", s.URL, "--api-key", "stz_secret", "agents", "list").want(t, exitUnreachable)
	if len(got) != 1 || got[0] != "Bearer stz_secret" {
		t.Errorf("requests: %q", got)
	}
	for base, warn := range map[string]bool{"http://127.0.0.1:1": false, "http://localhost": false, "http://[::1]:1": false, "https://a.example": false, "http://a.example": true} {
		if e := (&endpoint{base: base, apiKey: "k"}); e.unencrypted() != warn {
			t.Errorf("%s: unencrypted is %v", base, !warn)
		}
	}
}

func TestEventsAreReadWhateverTheirLineEndsAndPieces(t *testing.T) {
	t.Parallel()
	const text = ": comment\r\n\r\nid: r-4\r\nevent: message.delta\r\ndata: {\"message\":1,\r\ndata: \"text\":\"a\"}\r\n\r\n" +
		"id: r-5\nevent: something.new\ndata: {}\n\nid: r-6\nevent: run.succeeded\ndata:{\"id\":\"r\"}\n\nid: r-7\nevent: run.failed\ndata: {}"
	var got []core.Event
	alive := 0
	for ev, err := range readEvents(strings.NewReader(text), "r", func() { alive++ }) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev)
	}
	if len(got) != 2 || got[0].N != 4 || got[0].Delta.Text != "a" || got[1].N != 6 || got[1].RunData.ID != "r" || alive == 0 {
		t.Errorf("read %+v", got)
	}
	for _, err := range readEvents(strings.NewReader("event: run.failed\ndata: nonsense\n\n"), "r", func() {}) {
		if err == nil {
			t.Error("nonsense is no error")
		}
	}
}

// TestATerminalShowsTheMessageHoweverItArrives cuts a message into deltas, repeats and loses some as reconnects do, and
// begins anew as failed attempts do: what stands after the last "void" is the message.
func TestATerminalShowsTheMessageHoweverItArrives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		attempts := rapid.SliceOfN(rapid.StringMatching(`[ab😀é ]{0,12}`), 1, 3).Draw(t, "attempts")
		final := attempts[len(attempts)-1]
		var p partial
		shown := ""
		show := func(piece string, void bool) {
			if void {
				shown = ""
			}
			shown += piece
		}
		p.complete(core.Message{Index: 0}) // an earlier message
		for i, text := range attempts {
			units := utf16.Encode([]rune(text))
			for range rapid.IntRange(0, 6).Draw(t, "deltas") {
				from := rapid.IntRange(0, len(units)).Draw(t, "from")
				to := rapid.IntRange(from, len(units)).Draw(t, "to")
				if cutsPair(units, from) || cutsPair(units, to) {
					continue // a server never cuts a character
				}
				show(p.apply(core.DeltaData{Message: 1, Attempt: i + 1, Offset: from, Text: string(utf16.Decode(units[from:to]))}))
			}
		}
		show(p.complete(core.Message{Index: 1, Text: final}))
		if shown != final {
			t.Fatalf("shown %q, want %q", shown, final)
		}
	})
}

func TestTextThatTurnsOutOtherwiseIsShownAnew(t *testing.T) {
	t.Parallel()
	var p partial
	p.complete(core.Message{Index: 0})
	p.apply(core.DeltaData{Message: 1, Attempt: 1, Text: "Half a sen"})
	if show, void := p.apply(core.DeltaData{Message: 1, Attempt: 2, Text: "Half"}); show != "" || void {
		t.Errorf("the same words again show %q, void %v", show, void)
	}
	if show, void := p.apply(core.DeltaData{Message: 1, Attempt: 1, Offset: 4, Text: " a late piece"}); show != "" || void {
		t.Errorf("a late piece of an attempt that was given up shows %q, void %v", show, void)
	}
	if show, void := p.complete(core.Message{Index: 1, Text: "Half"}); show != "Half" || !void {
		t.Errorf("a shorter message shows %q, void %v", show, void)
	}
}

func cutsPair(units []uint16, at int) bool {
	return at > 0 && at < len(units) && utf16.IsSurrogate(rune(units[at-1])) && units[at] >= 0xdc00 && units[at] <= 0xdfff && units[at-1] < 0xdc00
}

func TestTheKindOfAnErrorSurvivesTheStream(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	cl := &client{conn: &connector{found: &endpoint{base: s.URL, http: s.Client()}}}
	for _, err := range cl.stream(t.Context(), "x", 0, func(error) { t.Error("a missing run is asked for again") }) {
		if e, ok := errors.AsType[*core.Error](err); !ok || e.Code != core.CodeNotFound {
			t.Errorf("got %v", err)
		}
	}
}
