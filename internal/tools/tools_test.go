package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/sutazai/sutazai/core"
	"github.com/sutazai/sutazai/internal/sandbox"
)

// The test binary is also the sandbox's helper: see command_test.go.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.HelperArgument {
		os.Exit(sandbox.Helper(os.Args[2:]))
	}
	goleak.VerifyTestMain(m)
}

// bundle is a registry over a temporary folder.
type bundle struct {
	*Registry
	t   *testing.T
	dir string
	log *bytes.Buffer
}

func setup(t *testing.T, c Config, egress Fetcher) bundle {
	t.Helper()
	log := &bytes.Buffer{}
	c.Dir = t.TempDir()
	r, err := New(c, Deps{
		Egress: egress, Logger: slog.New(slog.NewTextHandler(log, nil)),
		Now: func() time.Time { return time.Date(2026, 11, 24, 13, 5, 0, 0, time.UTC) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return bundle{r, t, c.Dir, log}
}

// do calls a tool in the workspace "w" with arguments as JSON or as a value.
func (b bundle) do(tool string, args any) core.ToolResult {
	b.t.Helper()
	raw, ok := args.(string)
	if !ok {
		j, err := json.Marshal(args)
		if err != nil {
			b.t.Fatal(err)
		}
		raw = string(j)
	}
	return b.Call(b.t.Context(), core.ToolInvocation{Run: "r", Name: tool, Arguments: json.RawMessage(raw), IdempotencyKey: "r:1", Workspace: "w"})
}

// ok is the text of a call that must succeed.
func (b bundle) ok(tool string, args any) string {
	b.t.Helper()
	res := b.do(tool, args)
	if res.IsError {
		b.t.Errorf("%s %v failed: %s", tool, args, res.Text)
	}
	return res.Text
}

// fails is the text of a call that must fail.
func (b bundle) fails(tool string, args any) string {
	b.t.Helper()
	res := b.do(tool, args)
	if !res.IsError {
		b.t.Errorf("%s %v succeeded: %s", tool, args, res.Text)
	}
	return res.Text
}

func (b bundle) attach(files map[string]string) {
	b.t.Helper()
	var list []core.File
	for name, content := range files {
		list = append(list, core.File{Name: name, Content: []byte(content)})
	}
	if err := b.Attach("w", list); err != nil {
		b.t.Fatal(err)
	}
}

// fake is a tool for the failures that real ones do not have.
type fake struct {
	name   string
	effect core.Effect
	params string
	call   func(context.Context, core.ToolInvocation) (string, error)
}

func (f fake) Spec() core.ToolSpec {
	return core.ToolSpec{Name: f.name, Description: "A test's tool.", Effect: f.effect, Parameters: json.RawMessage(f.params)}
}

func (f fake) Call(ctx context.Context, inv core.ToolInvocation) (string, error) {
	return f.call(ctx, inv)
}

const anyObject = `{"type":"object"}`

func TestTheBuiltInToolsSayWhatRepeatingThemDoes(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	want := map[string]core.Effect{
		"add_note": "idempotent", "ask_user": "read_only", "calculator": "read_only", "fetch_url": "read_only", "list_files": "read_only", "now": "read_only",
		"read_file": "read_only", "read_notes": "read_only", "search_files": "read_only", "sql_query": "read_only", "write_file": "idempotent",
	}
	var names []string
	for _, s := range b.Specs() {
		names = append(names, s.Name)
		if s.Effect != want[s.Name] || s.Description == "" || !json.Valid(s.Parameters) {
			t.Errorf("%+v", s)
		}
		if got, ok := b.Spec(s.Name); !ok || got.Name != s.Name {
			t.Errorf("Spec(%q) = %+v, %v", s.Name, got, ok)
		}
	}
	if len(names) != len(want) || !slices.IsSorted(names) {
		t.Errorf("names %v", names)
	}
	if _, ok := b.Spec("nope"); ok {
		t.Error("a tool that does not exist was found")
	}
}

func TestWrongArgumentsAreNamedSoThatAModelCanMendThem(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	for _, c := range []struct{ tool, args, want string }{
		{"read_file", `{}`, `wrong arguments: "path" is missing`},
		{"read_file", ``, `wrong arguments: "path" is missing`},
		{"read_file", `null`, `wrong arguments: "path" is missing`},
		{"read_file", `{"file":"x"}`, `wrong arguments: "file" is unknown; known: limit, offset, path; "path" is missing`},
		{"read_file", `{"path":7}`, `wrong arguments: "path" must be of type string, not number`},
		{"read_file", `{"path":"a","offset":"0"}`, `wrong arguments: "offset" must be of type integer, not string`},
		{"read_file", `{"path":"a","offset":-1}`, `wrong arguments: "offset": minimum: got -1, want 0`},
		{"write_file", `{}`, `wrong arguments: "content", "path" are missing`},
		{"read_file", `["a"]`, `the arguments must be one JSON object, such as {"path": …}`},
		{"read_file", `{"path":`, `the arguments are not valid JSON: `},
		{"read_file", `{"path":"a"} {"path":"b"}`, `the arguments are not valid JSON: `},
		{"read_fil", `{}`, `there is no tool "read_fil"; there is: add_note, ask_user, calculator, fetch_url`},
		{"ask_user", `{"question":"Why?","options":["a",2]}`, `wrong arguments: "options.1" must be of type string, not number`},
		{"ask_user", `{"question":"Why?"}`, `nobody can be asked here`},
		{"write_file", `{"path":"a","content":"` + strings.Repeat("x", maxArguments) + `"}`, `the arguments are larger than 4 MB`},
	} {
		if got := b.fails(c.tool, c.args); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s %s:\ngot  %s\nwant %s", c.tool, clip(c.args, 80), got, c.want)
		}
	}
}

func TestAToolOfOthersIsRegisteredOnceAndChecked(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	good := fake{name: "ledger", effect: core.EffectUnsafe, params: `{"type":"object","properties":{"n":{"type":"integer"}},"required":["n"]}`,
		call: func(_ context.Context, inv core.ToolInvocation) (string, error) {
			return inv.IdempotencyKey + " " + string(inv.Arguments), nil
		}}
	if err := b.Register(good); err != nil {
		t.Fatal(err)
	}
	if got := b.ok("ledger", `{"n":1}`); got != `r:1 {"n":1}` {
		t.Errorf("got %s", got)
	}
	b.fails("ledger", `{"n":"1"}`)
	for _, c := range []struct {
		tool fake
		want core.Code
	}{
		{good, core.CodeConflict},
		{fake{name: "", effect: core.EffectUnsafe, params: anyObject}, core.CodeInvalid},
		{fake{name: "x", effect: "harmless", params: anyObject}, core.CodeInvalid},
		{fake{name: "x", effect: core.EffectUnsafe, params: `{"type":"array"}`}, core.CodeInvalid},
		{fake{name: "x", effect: core.EffectUnsafe, params: `{`}, core.CodeInvalid},
		{fake{name: "x", effect: core.EffectUnsafe, params: `{"type":"object","properties":{"a":{"$ref":"file:///etc/passwd"}}}`}, core.CodeInvalid},
	} {
		if err := b.Register(c.tool); core.CodeOf(err) != c.want {
			t.Errorf("%+v: %v, want %s", c.tool, err, c.want)
		}
	}
}

func TestFailuresBecomeTextsWithoutInternals(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	for name, call := range map[string]func(context.Context, core.ToolInvocation) (string, error){
		"panics": func(context.Context, core.ToolInvocation) (string, error) { panic("secret detail") },
		"breaks": func(context.Context, core.ToolInvocation) (string, error) { return "", errors.New("secret detail") },
		"refuses": func(context.Context, core.ToolInvocation) (string, error) {
			return "", core.Errorf(core.CodeInvalid, "no, because")
		},
		"nul": func(context.Context, core.ToolInvocation) (string, error) { return "a\x00b\xffc", nil },
	} {
		if err := b.Register(fake{name: name, effect: core.EffectReadOnly, params: anyObject, call: call}); err != nil {
			t.Fatal(err)
		}
	}
	for tool, want := range map[string]string{
		"panics":  "the tool failed because of a defect in it; the server's log has the details",
		"breaks":  "internal error; the server's log has the details",
		"refuses": "no, because",
	} {
		if got := b.fails(tool, "{}"); got != want {
			t.Errorf("%s: %q, want %q", tool, got, want)
		}
	}
	if n := strings.Count(b.log.String(), "secret detail"); n < 2 {
		t.Errorf("the log misses details: %s", b.log)
	}
	if got := b.ok("nul", "{}"); got != "a\uFFFDb\uFFFDc" {
		t.Errorf("got %q", got)
	}
}

func TestACallIsBoundedInTime(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Timeout: time.Minute}, nil)
	wait := fake{name: "wait", effect: core.EffectReadOnly, params: anyObject, call: func(ctx context.Context, _ core.ToolInvocation) (string, error) {
		<-ctx.Done()
		return "", ctx.Err()
	}}
	if err := b.Register(wait); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		res := b.Call(t.Context(), core.ToolInvocation{Name: "wait"})
		if !res.IsError || res.Text != "wait did not finish within 1m0s; ask for less at once" {
			t.Errorf("got %+v", res)
		}
		if res.Unknown {
			t.Error("the outcome of a call that changes nothing is unknown")
		}
		b.SetLimits(Config{Timeout: time.Second})
		if res := b.Call(t.Context(), core.ToolInvocation{Name: "wait"}); !strings.Contains(res.Text, "within 1s") {
			t.Errorf("got %+v", res)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if res := b.Call(ctx, core.ToolInvocation{Name: "wait"}); res.Text != "the call was cancelled" {
			t.Errorf("got %+v", res)
		}
	})
}

// lost is an error after which nobody knows whether the call was made.
type lost struct{ error }

func (lost) OutcomeUnknown() bool { return true }

func (l lost) Unwrap() error { return l.error }

func TestAnUnsafeCallThatRanOutOfTimeIsNotToldAsNotDone(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{Timeout: time.Minute}, nil)
	pay := fake{name: "pay", effect: core.EffectUnsafe, params: anyObject, call: func(ctx context.Context, inv core.ToolInvocation) (string, error) {
		if strings.Contains(string(inv.Arguments), "refuse") {
			return "", core.Errorf(core.CodeInvalid, "no such account")
		}
		if strings.Contains(string(inv.Arguments), "defect") {
			panic("a defect")
		}
		if strings.Contains(string(inv.Arguments), "lost") {
			return "", lost{core.Errorf(core.CodeUnavailable, "the connection was lost")}
		}
		<-ctx.Done()
		return "", ctx.Err()
	}}
	if err := b.Register(pay); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		const want = "pay did not finish within 1m0s; its outcome is unknown: check whether it took effect before you call it again"
		if res := b.Call(t.Context(), core.ToolInvocation{Name: "pay"}); !res.IsError || !res.Unknown || res.Text != want {
			t.Errorf("got %+v", res)
		}
		res := b.Call(t.Context(), core.ToolInvocation{Name: "pay", Arguments: []byte(`{"refuse":true}`)})
		if !res.IsError || res.Unknown || res.Text != "no such account" {
			t.Errorf("a call that was refused: %+v", res)
		}
		if res := b.Call(t.Context(), core.ToolInvocation{Name: "pay", Arguments: []byte(`{"defect":true}`)}); !res.IsError || !res.Unknown {
			t.Errorf("a call that met a defect: %+v", res)
		}
		res = b.Call(t.Context(), core.ToolInvocation{Name: "pay", Arguments: []byte(`{"lost":true}`)})
		if !res.IsError || !res.Unknown || res.Text != "the connection was lost" {
			t.Errorf("a call of which the tool does not know what became: %+v", res)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if res := b.Call(ctx, core.ToolInvocation{Name: "pay"}); res.Unknown || res.Text != "the call was cancelled" {
			t.Errorf("a cancelled call: %+v", res)
		}
	})
}

func TestAResultIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{OutputMax: 1000}, nil)
	long := fake{name: "long", effect: core.EffectReadOnly, params: anyObject, call: func(context.Context, core.ToolInvocation) (string, error) {
		return strings.Repeat("ä", 5000), nil
	}}
	if err := b.Register(long); err != nil {
		t.Fatal(err)
	}
	got := b.ok("long", "{}")
	if !strings.HasPrefix(got, strings.Repeat("ä", 500)+"\n[cut: shown are the first 1000 bytes of 9.8 kB; ask for less or for a part]") {
		t.Errorf("got %s", got[len(got)-100:])
	}
}

func TestNowTellsTheTimeOfAZone(t *testing.T) {
	t.Parallel()
	b := setup(t, Config{}, nil)
	for args, want := range map[string]string{
		``:                                "Tuesday, 2026-11-24T13:05:00Z (UTC)",
		`{"timezone":"Europe/Berlin"}`:    "Tuesday, 2026-11-24T14:05:00+01:00 (Europe/Berlin)",
		`{"timezone":"Asia/Kathmandu"}`:   "Tuesday, 2026-11-24T18:50:00+05:45 (Asia/Kathmandu)",
		`{"timezone":"Pacific/Auckland"}`: "Wednesday, 2026-11-25T02:05:00+13:00 (Pacific/Auckland)",
	} {
		if got := b.ok("now", args); got != want {
			t.Errorf("%s: %s, want %s", args, got, want)
		}
	}
	for _, zone := range []string{"Berlin", "Local", "../../etc/passwd", "/etc/passwd", "Europe/../UTC"} {
		if got := b.fails("now", map[string]string{"timezone": zone}); !strings.HasPrefix(got, "there is no time zone") {
			t.Errorf("%s: %s", zone, got)
		}
	}
}
