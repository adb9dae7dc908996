// Package tools owns the built-in tools of agents and the workspaces whose files they touch: it describes them,
// checks the arguments of each call, makes the call within its bounds and turns every failure into a text that a
// model can act on. It must not know about runs, approvals, models or how a call is journalled.
package tools

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/sutazai/sutazai/core"
)

// Tool is something that an agent can call. Call may be repeated for the same invocation if the tool's effect is
// read_only or idempotent (then inv.IdempotencyKey stays the same); it must return soon after ctx ends. The
// arguments were checked against Spec's schema. An error's core.Error message goes to the model; one of an unsafe tool whose
// method OutcomeUnknown returns true says that the call may or may not have had its effect.
type Tool interface {
	Spec() core.ToolSpec
	Call(ctx context.Context, inv core.ToolInvocation) (string, error)
}

// Config bounds the tools. Zero values take the defaults named here.
type Config struct {
	Dir          string        // folder that holds the workspaces, made if need be
	WorkspaceMax int64         // bytes of files in one workspace; 100 MB
	OutputMax    int           // bytes of one result; 16 kB
	Timeout      time.Duration // of one call; 60 s
}

// Fetcher makes requests to the outside; *egress.Client is one.
type Fetcher interface {
	Do(req *http.Request) (*http.Response, error)
}

// Deps are what the tools need of others. Now is the clock; Logger takes the details of defects. Without a Sandbox there are no
// tools that run commands.
type Deps struct {
	Egress  Fetcher
	Sandbox Commands
	Skills  Skills // nil = none
	Now     func() time.Time
	Logger  *slog.Logger
}

// Registry holds the tools by name. It is safe for use by several goroutines.
type Registry struct {
	config atomic.Pointer[Config]
	logger *slog.Logger
	spaces *workspaces
	mu     sync.RWMutex
	tools  map[string]registered
}

// registered is a tool with its compiled schema.
type registered struct {
	tool   Tool
	spec   core.ToolSpec
	schema *jsonschema.Schema
}

// New opens the folder of workspaces and registers the built-in tools.
func New(c Config, d Deps) (*Registry, error) {
	spaces, err := openWorkspaces(c.Dir)
	if err != nil {
		return nil, err
	}
	r := &Registry{logger: d.Logger, spaces: spaces, tools: map[string]registered{}}
	r.SetLimits(c)
	outputMax := r.OutputMax
	list := []Tool{
		addNote(spaces),
		askUser(),
		calculator(),
		fetchURL(d.Egress, outputMax),
		listFiles(spaces, outputMax),
		now(d.Now),
		readFile(spaces, outputMax),
		readNotes(spaces, outputMax),
		searchFiles(spaces, outputMax),
		sqlQuery(spaces, outputMax),
		writeFile(spaces),
	}
	if d.Skills != nil {
		list = append(list, loadSkill(r, d.Skills))
	}
	if d.Sandbox != nil {
		list = append(list, runPython(spaces, d.Sandbox), runShell(spaces, d.Sandbox))
	}
	for _, t := range list {
		if err := r.Register(t); err != nil {
			spaces.close()
			return nil, err
		}
	}
	return r, nil
}

// SetLimits changes the bounds of the calls that start from now on. Dir stays what it was.
func (r *Registry) SetLimits(c Config) {
	if c.WorkspaceMax <= 0 {
		c.WorkspaceMax = 100 << 20
	}
	if c.OutputMax <= 0 {
		c.OutputMax = 16 << 10
	}
	if c.Timeout <= 0 {
		c.Timeout = 60 * time.Second
	}
	r.spaces.max.Store(c.WorkspaceMax)
	r.config.Store(&c)
}

// OutputMax is how many bytes of a result go to a model.
func (r *Registry) OutputMax() int { return r.config.Load().OutputMax }

// Close releases the folder of workspaces. No call may be under way.
func (r *Registry) Close() error { return r.spaces.close() }

// Register adds a tool. CodeConflict: the name is taken; CodeInvalid: its description is not usable.
func (r *Registry) Register(t Tool) error {
	ready, err := prepare(t)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, taken := r.tools[ready.spec.Name]; taken {
		return core.Errorf(core.CodeConflict, "there is a tool %q already", ready.spec.Name)
	}
	r.tools[ready.spec.Name] = ready
	return nil
}

// Replace puts tools in the place of all whose names begin with prefix, such as "erp." for those of an MCP server. Tools
// that are not usable are left out and named in the error; the others are there.
func (r *Registry) Replace(prefix string, list []Tool) error {
	var problems []error
	next := map[string]registered{}
	for _, t := range list {
		ready, err := prepare(t)
		if err == nil && !strings.HasPrefix(ready.spec.Name, prefix) {
			err = core.Errorf(core.CodeInvalid, "the name of tool %q does not begin with %q", ready.spec.Name, prefix)
		}
		if err != nil {
			problems = append(problems, err)
			continue
		}
		next[ready.spec.Name] = ready
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.tools, func(name string, _ registered) bool { return strings.HasPrefix(name, prefix) })
	maps.Copy(r.tools, next)
	return errors.Join(problems...)
}

// prepare checks a tool and compiles its schema.
func prepare(t Tool) (registered, error) {
	var none registered
	spec := t.Spec()
	if spec.Name == "" || spec.Description == "" {
		return none, core.Errorf(core.CodeInvalid, "a tool needs a name and a description; %q has not both", spec.Name)
	}
	switch spec.Effect {
	case core.EffectReadOnly, core.EffectIdempotent, core.EffectUnsafe:
	default:
		return none, core.Errorf(core.CodeInvalid, "tool %s has the effect %q; it must be read_only, idempotent or unsafe", spec.Name, spec.Effect)
	}
	schema, err := compileSchema(spec.Parameters)
	if err != nil {
		return none, core.Wrap(core.CodeInvalid, err, "the parameters of tool %s are not a valid JSON Schema of type object", spec.Name)
	}
	return registered{tool: t, spec: spec, schema: schema}, nil
}

// Specs returns every tool sorted by name.
func (r *Registry) Specs() []core.ToolSpec {
	r.mu.RLock()
	defer r.mu.RUnlock()
	specs := make([]core.ToolSpec, 0, len(r.tools))
	for _, t := range r.tools {
		specs = append(specs, t.spec)
	}
	slices.SortFunc(specs, func(a, b core.ToolSpec) int { return strings.Compare(a.Name, b.Name) })
	return specs
}

// Spec returns one tool.
func (r *Registry) Spec(name string) (core.ToolSpec, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	t, ok := r.tools[name]
	return t.spec, ok
}

// Family returns the tools whose names begin with prefix, sorted by name.
func (r *Registry) Family(prefix string) []core.ToolSpec {
	return slices.DeleteFunc(r.Specs(), func(s core.ToolSpec) bool { return !strings.HasPrefix(s.Name, prefix) })
}

// Call makes one call. It never panics and never returns more than OutputMax bytes and a short note; whatever
// goes wrong becomes a result with IsError whose text says how to go on. An unsafe call that ran out of time or met a
// defect may have had its effect: its result has Unknown. When ctx ends, the result says so and means nothing else: the
// caller looks at ctx.
func (r *Registry) Call(ctx context.Context, inv core.ToolInvocation) core.ToolResult {
	r.mu.RLock()
	t, ok := r.tools[inv.Name]
	r.mu.RUnlock()
	if !ok {
		names := []string{}
		for _, s := range r.Specs() {
			names = append(names, s.Name)
		}
		return failed(fmt.Sprintf("there is no tool %q; there is: %s", inv.Name, strings.Join(names, ", ")))
	}
	args, problem := checkArguments(t.schema, inv.Arguments)
	if problem != "" {
		return failed(problem)
	}
	inv.Arguments = args
	limits := r.config.Load()
	longest := limits.Timeout
	if p, ok := t.tool.(patient); ok {
		longest = p.TimeLimit()
	}
	limited, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	text, err := r.guarded(limited, t.tool, inv)
	if err == nil {
		return core.ToolResult{Text: cut(clean(text), limits.OutputMax)}
	}
	res := failed(cut(clean(r.explain(ctx, limited, t.spec, inv, err, longest)), limits.OutputMax))
	res.Unknown = t.spec.Effect == core.EffectUnsafe && ctx.Err() == nil && (limited.Err() != nil || errors.Is(err, errDefect) || unknown(err))
	return res
}

// errDefect is what a model is told of a panic.
var errDefect = core.Errorf(core.CodeInternal, "the tool failed because of a defect in it; the server's log has the details")

// unknown says whether an error says of itself that nobody knows what became of the call.
func unknown(err error) bool {
	var u interface{ OutcomeUnknown() bool }
	return errors.As(err, &u) && u.OutcomeUnknown()
}

// guarded makes the call and turns a panic into an error.
func (r *Registry) guarded(ctx context.Context, t Tool, inv core.ToolInvocation) (text string, err error) {
	defer func() {
		if p := recover(); p != nil {
			r.logger.Error("a tool panicked", "tool", inv.Name, "run", inv.Run, "panic", p, "stack", string(debug.Stack()))
			err = errDefect
		}
	}()
	return t.Call(ctx, inv)
}

// explain says what a model is told about an error.
func (r *Registry) explain(ctx, limited context.Context, spec core.ToolSpec, inv core.ToolInvocation, err error, limit time.Duration) string {
	switch {
	case ctx.Err() != nil:
		return "the call was cancelled"
	case limited.Err() != nil && spec.Effect == core.EffectUnsafe: // the model must not take it for not done
		return fmt.Sprintf("%s did not finish within %s; its outcome is unknown: check whether it took effect before you call it again", inv.Name, limit)
	case limited.Err() != nil:
		return fmt.Sprintf("%s did not finish within %s; ask for less at once", inv.Name, limit)
	}
	if _, ok := errors.AsType[*core.Error](err); !ok || core.CodeOf(err) == core.CodeInternal {
		r.logger.Error("a tool failed", "tool", inv.Name, "run", inv.Run, "error", err)
	}
	return core.MessageOf(err)
}

func failed(text string) core.ToolResult { return core.ToolResult{Text: text, IsError: true} }

// builtin is a tool made of a description and a function over its decoded arguments.
type builtin[A any] struct {
	spec core.ToolSpec
	call func(ctx context.Context, inv core.ToolInvocation, args A) (string, error)
}

func (b builtin[A]) Spec() core.ToolSpec { return b.spec }

func (b builtin[A]) Call(ctx context.Context, inv core.ToolInvocation) (string, error) {
	args, err := decode[A](inv.Arguments)
	if err != nil {
		return "", err
	}
	return b.call(ctx, inv, args)
}

// askUser describes the question to a person. The orchestrator makes the call: it parks the run.
func askUser() Tool {
	return builtin[struct{}]{
		spec: core.ToolSpec{
			Name: "ask_user",
			Description: "Ask the user one question and wait for the answer. Use it only when you cannot go on without it; " +
				"the user may answer much later.",
			Parameters: []byte(`{"type":"object","properties":{` +
				`"question":{"type":"string","minLength":1,"maxLength":4000,"description":"What you want to know."},` +
				`"options":{"type":"array","maxItems":10,"items":{"type":"string","maxLength":200},"description":"Answers to choose from, if there are few."}},` +
				`"required":["question"],"additionalProperties":false}`),
			Effect: core.EffectReadOnly,
		},
		call: func(context.Context, core.ToolInvocation, struct{}) (string, error) {
			return "", core.Errorf(core.CodeInvalid, "nobody can be asked here")
		},
	}
}
