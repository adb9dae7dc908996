package a2a

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http/httptest"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/a2aproject/a2a-go/v2/a2a"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/a2acheck"
)

func TestAMessageIsTakenApart(t *testing.T) {
	t.Parallel()
	file := func(name, kind string) *a2a.Part {
		p := a2a.NewRawPart([]byte("ink"))
		p.Filename, p.MediaType = name, kind
		return p
	}
	many := make(a2a.ContentParts, 65)
	for i := range many {
		many[i] = file(strconv.Itoa(i), "")
	}
	for name, tc := range map[string]struct {
		parts a2a.ContentParts
		text  string
		files string
		say   string // "" = it can be read
	}{
		"text":            {a2a.ContentParts{a2a.NewTextPart("a"), a2a.NewTextPart("b")}, "a\nb", "", ""},
		"data":            {a2a.ContentParts{a2a.NewDataPart(map[string]any{"a": 1})}, "```json\n{\"a\":1}\n```", "", ""},
		"files":           {a2a.ContentParts{file("a.txt", ""), file("", "text/plain; charset=utf-8"), file("", "image/jpeg"), file("", "application/x-none"), file("", "application/pdf")}, "", "a.txt file-2.txt file-3.jpg file-4 file-5.pdf", ""},
		"what is no text": {a2a.ContentParts{a2a.NewTextPart("a\x00b")}, "a\uFFFDb", "", ""},
		"an address":      {a2a.ContentParts{a2a.NewFileURLPart("https://x.example/a", "text/plain")}, "", "", "message.parts.0: files by their address are not fetched"},
		"nothing":         {a2a.ContentParts{a2a.NewTextPart("a"), nil}, "", "", "message.parts.1: it is empty"},
		"no kind":         {a2a.ContentParts{{}}, "", "", "message.parts.0: it has none of"},
		"too many files":  {many, "", "", "message.parts: there are more than 64 files"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := read(&a2a.Message{Parts: tc.parts})
			if tc.say != "" {
				if err == nil || !strings.Contains(err.Error(), tc.say) {
					t.Fatalf("said %v, want %q", err, tc.say)
				}
				return
			}
			var names []string
			for _, f := range c.files {
				names = append(names, f.Name)
			}
			if err != nil || c.text != tc.text || strings.Join(names, " ") != tc.files {
				t.Errorf("got %q and %q, %v; want %q and %q", c.text, names, err, tc.text, tc.files)
			}
		})
	}
}

func TestAnswersAreOfferedToThoseThatReadThem(t *testing.T) {
	t.Parallel()
	for modes, want := range map[string]bool{"": true, "text/plain": true, "*/*": true, "TEXT": true, "application/json; v=1": true, "image/png": false, "image/png,text/markdown": true} {
		c := &a2a.SendMessageConfig{}
		if modes != "" {
			c.AcceptedOutputModes = strings.Split(modes, ",")
		}
		if got := accepts(c); got != want {
			t.Errorf("%q: %v", modes, got)
		}
	}
}

func TestAnswersAreDecisions(t *testing.T) {
	t.Parallel()
	call := core.Approval{ID: "c1", Tool: "pay", Reason: core.ReasonPolicy}
	other := core.Approval{ID: "c2", Tool: "send", Reason: core.ReasonPolicy}
	question := core.Approval{ID: "q1", Tool: "ask_user", Reason: core.ReasonQuestion}
	data := func(objects ...string) content {
		var c content
		for _, text := range objects {
			var object map[string]any
			if err := json.Unmarshal([]byte(text), &object); err != nil {
				t.Fatal(err)
			}
			c.data = append(c.data, object)
			c.text += "```json\n" + text + "\n```"
		}
		return c
	}
	for name, tc := range map[string]struct {
		pending []core.Approval
		said    content
		want    string // "id decision arguments result comment"
		say     string
	}{
		"yes":                        {[]core.Approval{call}, content{text: "Yes, but be quick"}, "c1 approve   but be quick", ""},
		"a word":                     {[]core.Approval{call}, content{text: "approve"}, "c1 approve   ", ""},
		"no":                         {[]core.Approval{call}, content{text: "No: too much"}, "c1 deny   too much", ""},
		"again":                      {[]core.Approval{call}, content{text: "retry"}, "c1 retry   ", ""},
		"neither":                    {[]core.Approval{call}, content{text: "perhaps"}, "", "begin the answer with approve or deny"},
		"nothing":                    {[]core.Approval{call}, content{text: " \n"}, "", "the answer is empty"},
		"a question":                 {[]core.Approval{question}, content{text: " Blue. "}, "q1 done  Blue. ", ""},
		"data that decides not":      {[]core.Approval{question}, data(`{"colour":"blue"}`), "q1 done  ```json\n{\"colour\":\"blue\"}\n``` ", ""},
		"a question and a call":      {[]core.Approval{call, question}, content{text: "Blue."}, "q1 done  Blue. ", ""},
		"two calls":                  {[]core.Approval{call, other}, content{text: "approve"}, "", "several calls wait"},
		"by data":                    {[]core.Approval{call, other}, data(`{"approval":"c2","decision":"deny","comment":"no"}`), "c2 deny   no", ""},
		"both by data":               {[]core.Approval{call, other}, data(`{"approval":"c2","decision":"deny"}`, `{"approval":"c1","decision":"approve"}`), "c2 deny   |c1 approve   ", ""},
		"one twice":                  {[]core.Approval{call, other}, data(`{"approval":"c2","decision":"deny"}`, `{"approval":"c2","decision":"approve"}`), "", "decided twice"},
		"the only one":               {[]core.Approval{call}, data(`{"decision":"approve"}`), "c1 approve   ", ""},
		"which one?":                 {[]core.Approval{call, other}, data(`{"decision":"approve"}`), "", "it waits for c1 (pay), c2 (send)"},
		"another":                    {[]core.Approval{call}, data(`{"approval":"c9","decision":"approve"}`), "", "message.parts.data.approval: the task waits for no such decision"},
		"edited":                     {[]core.Approval{call}, data(`{"decision":"edit","arguments":{"n":1}}`), `c1 edit {"n":1}  `, ""},
		"edited to nothing":          {[]core.Approval{call}, data(`{"decision":"edit"}`), "", "message.parts.data.arguments"},
		"edited to a list":           {[]core.Approval{call}, data(`{"decision":"edit","arguments":[1]}`), "", "message.parts.data.arguments"},
		"done by hand":               {[]core.Approval{call}, data(`{"decision":"done","result":"paid"}`), "c1 done  paid ", ""},
		"a decision of no kind":      {[]core.Approval{call}, data(`{"decision":"maybe"}`), "", "message.parts.data.decision: expected approve"},
		"a decision that is no text": {[]core.Approval{call}, data(`{"decision":1}`), "", "message.parts.data.decision: expected a text"},
		"an id that is no text":      {[]core.Approval{call}, data(`{"decision":"deny","approval":{}}`), "", "message.parts.data.approval: expected a text"},
		"a result that is no text":   {[]core.Approval{call}, data(`{"decision":"done","result":[]}`), "", "message.parts.data.result: expected a text"},
		"a comment that is no text":  {[]core.Approval{call}, data(`{"decision":"deny","comment":true}`), "", "message.parts.data.comment: expected a text"},
		"a long comment":             {[]core.Approval{call}, data(`{"decision":"deny","comment":"` + strings.Repeat("x", 4001) + `"}`), "", "message.parts.data.comment: it is longer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := decide(tc.pending, tc.said)
			if tc.say != "" {
				if core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), tc.say) {
					t.Fatalf("said %v, want %q", err, tc.say)
				}
				return
			}
			var list []string
			for _, d := range got {
				list = append(list, strings.Join([]string{d.approval.ID, string(d.verdict.Decision), string(d.verdict.Arguments), d.verdict.Result, d.verdict.Comment}, " "))
			}
			if err != nil || strings.Join(list, "|") != tc.want {
				t.Errorf("got %q, %v; want %q", list, err, tc.want)
			}
		})
	}
	if got := only([]core.Approval{call, other}, []string{"c2"}); len(got) != 1 || got[0].ID != "c2" {
		t.Errorf("only: %v", got)
	}
}

func TestPiecesOfAnAnswerFollowEachOther(t *testing.T) {
	t.Parallel()
	delta := func(message, offset int, text string) core.DeltaData {
		return core.DeltaData{Message: message, Offset: offset, Text: text}
	}
	type told struct {
		text    string
		follows bool
	}
	for name, tc := range map[string]struct {
		deltas []core.DeltaData
		whole  string
		want   []told
	}{
		"in order":            {[]core.DeltaData{delta(1, 0, "Hel"), delta(1, 3, "lo")}, "Hello", []told{{"Hel", false}, {"lo", true}, {"", true}}},
		"the end is missing":  {[]core.DeltaData{delta(1, 0, "Hel")}, "Hello", []told{{"Hel", false}, {"lo", true}}},
		"nothing was told":    {nil, "Hello", []told{{"Hello", false}}},
		"begun anew":          {[]core.DeltaData{delta(1, 0, "Hal"), delta(1, 1, "ello")}, "Hello", []told{{"Hal", false}, {"Hello", false}, {"", true}}},
		"a piece twice":       {[]core.DeltaData{delta(1, 0, "Hel"), delta(1, 0, "Hel")}, "Hello", []told{{"Hel", false}, {"", true}, {"lo", true}}},
		"another message":     {[]core.DeltaData{delta(1, 0, "One"), delta(2, 0, "Two")}, "", []told{{"One", false}, {"Two", false}}},
		"recorded otherwise":  {[]core.DeltaData{delta(1, 0, "secret")}, "[gone]", []told{{"secret", false}, {"[gone]", false}}},
		"by UTF-16 code unit": {[]core.DeltaData{delta(1, 0, "a𝄞"), delta(1, 3, "b")}, "", []told{{"a𝄞", false}, {"b", true}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var (
				text answerText
				got  []told
			)
			for _, d := range tc.deltas {
				piece, follows := text.delta(d)
				got = append(got, told{piece, follows})
			}
			if tc.whole != "" {
				piece, follows := text.whole(1, tc.whole)
				got = append(got, told{piece, follows})
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("told %v, want %v", got, tc.want)
			}
		})
	}
}

func TestAddressesForNotificationsAreLookedAt(t *testing.T) {
	t.Parallel()
	s := &Server{d: Deps{Settings: Settings{Push: true}}}
	secret := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 24))
	with := func(scheme, credentials string) a2a.PushConfig {
		return a2a.PushConfig{URL: "https://x.example/", Auth: &a2a.PushAuthInfo{Scheme: scheme, Credentials: credentials}}
	}
	for name, tc := range map[string]struct {
		c   a2a.PushConfig
		say string
	}{
		"an address":             {a2a.PushConfig{URL: "https://x.example/a?b=c", Token: "t", ID: "mine"}, ""},
		"no address":             {a2a.PushConfig{}, "config.url"},
		"a file":                 {a2a.PushConfig{URL: "file:///etc/passwd"}, "config.url"},
		"no host":                {a2a.PushConfig{URL: "https:///a"}, "config.url"},
		"a user":                 {a2a.PushConfig{URL: "https://a:b@x.example/"}, "config.url"},
		"a NUL":                  {a2a.PushConfig{URL: "https://x.example/\x00"}, "config.url"},
		"too long":               {a2a.PushConfig{URL: "https://x.example/" + strings.Repeat("a", 2048)}, "config.url"},
		"a long id":              {a2a.PushConfig{URL: "https://x.example/", ID: strings.Repeat("a", 201)}, "config.id"},
		"a token of two lines":   {a2a.PushConfig{URL: "https://x.example/", Token: "a\r\nHost: b"}, "config.token"},
		"bearer":                 {with("Bearer", "abc"), ""},
		"no scheme":              {with("", "abc"), "config.authentication.scheme"},
		"two schemes":            {with("Bearer Basic", "abc"), "config.authentication.scheme"},
		"credentials, two lines": {with("Bearer", "a\nb"), "config.authentication.credentials"},
		"signed":                 {with("StandardWebhooks", secret), ""},
		"signed with nothing":    {with("StandardWebhooks", "whsec_aGk="), "config.authentication.credentials"},
		"signed without prefix":  {with("StandardWebhooks", strings.TrimPrefix(secret, "whsec_")), "config.authentication.credentials"},
	} {
		err := s.checkPush(&tc.c, "config")
		if tc.say == "" && err != nil || tc.say != "" && (err == nil || !strings.HasPrefix(err.Error(), tc.say+": ")) {
			t.Errorf("%s: said %v, want %q", name, err, tc.say)
		}
	}
	if err := (&Server{}).checkPush(&a2a.PushConfig{URL: "https://x.example/"}, ""); !errors.Is(err, a2a.ErrPushNotificationNotSupported) {
		t.Errorf("switched off: %v", err)
	}
}

func TestRESTOfVersion03IsReadHoweverItIsWritten(t *testing.T) {
	t.Parallel()
	h := &restV03{Server: &Server{check: a2acheck.New()}}
	const python = `{"request":{"message_id":"m","role":"ROLE_USER","content":[{"file":{"file_with_bytes":"YUdrPQ==","mime_type":"text/plain"}},{"data":{"data":{"my_key":1}}}]},"configuration":{"history_length":1}}`
	const js = `{"message":{"messageId":"m","role":"ROLE_USER","content":[{"file":{"fileWithBytes":"aGk=","mimeType":"text/plain"}},{"data":{"data":{"my_key":1}}}]},"configuration":{"historyLength":1}}`
	var read []string
	for name, body := range map[string]string{"python-httpx/1": python, "node": js} {
		r := httptest.NewRequest("POST", "/", nil)
		r.Header.Set("User-Agent", name)
		got, dialect, err := h.read(r, "RestSend", []byte(body))
		if err != nil || dialect.twice != (name != "node") {
			t.Fatalf("%s: %v, %v", name, dialect, err)
		}
		read = append(read, string(got))
	}
	if read[0] != read[1] || !strings.Contains(read[0], `"fileWithBytes":"YUdrPQ=="`) || !strings.Contains(read[0], `"my_key"`) {
		t.Errorf("read as\n%s\nand\n%s", read[0], read[1])
	}
	r := httptest.NewRequest("POST", "/", nil)
	for body, say := range map[string]string{
		``: "empty", `[]`: "object", `{"request":{}}`: "message",
		`{"message":{"messageId":"m","role":"ROLE_USER","content":[{"file":{"fileWithBytes":"%"}}]}}`: "base64",
		strings.Repeat(`{"a":`, 200): "nested",
	} {
		if _, _, err := h.read(r, "RestSend", []byte(body)); core.CodeOf(err) != core.CodeInvalid || !strings.Contains(err.Error(), say) {
			t.Errorf("%.80s: said %v, want %q", body, err, say)
		}
	}
	got, _, err := h.read(r, "RestSetPush", []byte(`{"pushNotificationConfig":{"url":"https://x.example/"}}`))
	if err != nil || string(got) != `{"config":{"pushNotificationConfig":{"url":"https://x.example/"}}}` {
		t.Errorf("a bare config: %s, %v", got, err)
	}
	if b, err := once([]byte(`{"parts":[{"fileWithBytes":"YUdrPQ=="},{"data":{"fileWithBytes":"%"}}]}`)); err != nil || string(b) != `{"parts":[{"fileWithBytes":"aGk="},{"data":{"fileWithBytes":"%"}}]}` {
		t.Errorf("once: %s, %v", b, err)
	}
}

func TestErrorsHaveTheProtocolsWords(t *testing.T) {
	t.Parallel()
	for code, want := range map[core.Code]struct {
		kind error
		name string
		http int
	}{
		core.CodeInvalid: {a2a.ErrInvalidParams, "INVALID_ARGUMENT", 400}, core.CodeTooLarge: {a2a.ErrInvalidParams, "INVALID_ARGUMENT", 413},
		core.CodeNotFound: {a2a.ErrTaskNotFound, "NOT_FOUND", 404}, core.CodeConflict: {a2a.ErrUnsupportedOperation, "FAILED_PRECONDITION", 400},
		core.CodeUnauthorized: {a2a.ErrUnauthenticated, "UNAUTHENTICATED", 401}, core.CodeForbidden: {a2a.ErrUnauthorized, "PERMISSION_DENIED", 403},
		core.CodeLimit: {a2a.ErrUnsupportedOperation, "FAILED_PRECONDITION", 400}, core.CodeRateLimited: {a2a.ErrServerError, "UNAVAILABLE", 429},
		core.CodeUnavailable: {a2a.ErrServerError, "UNAVAILABLE", 503}, core.CodeInternal: {a2a.ErrInternalError, "INTERNAL", 500},
	} {
		kind := kindOf(code)
		if !errors.Is(kind, want.kind) || statusName(kind) != want.name || restStatus(kind, core.Errorf(code, "x")) != want.http {
			t.Errorf("%s: %v, %s, %d", code, kind, statusName(kind), restStatus(kind, core.Errorf(code, "x")))
		}
	}
	for said, want := range map[string]string{
		"grpc: error unmarshalling request: string field contains invalid UTF-8": "no valid protobuf", "unknown method X for service Y": "no such method", "unexpected EOF": "cut off",
		"grpc: Decompressor is not installed for grpc-encoding": "compressed", "grpc: received message larger than max (5 vs. 4)": "larger", "message.parts: they say nothing": "message.parts: they say nothing",
	} {
		if got := inOurWords(said); !strings.Contains(got, want) {
			t.Errorf("%q is told as %q", said, got)
		}
	}
}

func TestACardNamesWhatLetsCallersIn(t *testing.T) {
	t.Parallel()
	agent := core.Agent{Name: "clerk", Description: "Files.", Tools: []core.ToolGrant{{Name: "read_file"}}, Agents: []string{"payer"}, Knowledge: []string{"books"}, Output: json.RawMessage(`{}`)}
	for name, tc := range map[string]struct {
		settings Settings
		schemes  []string
	}{
		"a key":         {Settings{}, []string{"apiKey", "bearer"}},
		"a token":       {Settings{Issuer: "https://id.example/"}, []string{"apiKey", "bearer", "openIdConnect"}},
		"nothing asked": {Settings{Open: true}, nil},
	} {
		s := New(Deps{PublicURL: func() string { return "https://x.example" }, Settings: tc.settings})
		both, err := cardOfBoth(t.Context(), s.card(agent, false))
		if err != nil {
			t.Fatal(err)
		}
		var card struct {
			SecuritySchemes map[string]map[string]any
			Security        []map[string]any
			Skills          []any
		}
		if err := json.Unmarshal(both, &card); err != nil {
			t.Fatal(err)
		}
		if got := slices.Sorted(maps.Keys(card.SecuritySchemes)); !slices.Equal(got, tc.schemes) || len(card.Security) != len(tc.schemes) || len(card.Skills) != 1 {
			t.Errorf("%s: %s", name, both)
		}
		for scheme, fields := range card.SecuritySchemes {
			if fields["type"] == nil || len(fields) < 3 || fields["openIdConnect"] != nil { // in the words of both versions
				t.Errorf("%s: %s is %v", name, scheme, fields)
			}
		}
		if c := s.card(agent, true); len(c.Skills) != 4 || c.DefaultOutputModes[0] != "application/json" {
			t.Errorf("%s: the extended card has %d skills", name, len(c.Skills))
		}
	}
}

func TestAPlaceInAListIsReadAgain(t *testing.T) {
	t.Parallel()
	at := core.TaskMark{At: time.UnixMilli(1_700_000_000_123), Run: "r1"}
	if got, err := parseMark(mark(at)); err != nil || got != at {
		t.Errorf("got %v, %v", got, err)
	}
	for _, token := range []string{"%", base64.RawURLEncoding.EncodeToString([]byte("x y")), base64.RawURLEncoding.EncodeToString([]byte("1 ")), base64.RawURLEncoding.EncodeToString([]byte("1 " + strings.Repeat("r", 65)))} {
		if _, err := parseMark(token); core.CodeOf(err) != core.CodeInvalid {
			t.Errorf("%q: %v", token, err)
		}
	}
	for address, want := range map[string]string{"https://x.example": "x.example:443", "http://x.example/": "x.example:80", "http://[::1]:9": "[::1]:9", "https://[::1]": "[::1]:443"} {
		if got := hostPort(address); got != want {
			t.Errorf("%s is %s for gRPC", address, got)
		}
	}
}
