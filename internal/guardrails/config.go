package guardrails

import (
	"log/slog"
	"net/http"
	"time"
)

// Kind says what a check looks for.
type Kind string

// The kinds of checks.
const (
	KindPattern Kind = "pattern" // a regular expression (RE2)
	KindPII     Kind = "pii"     // personal data: card and account numbers, addresses
	KindSecrets Kind = "secrets" // credentials, by the rules of gitleaks
	KindSize    Kind = "size"    // the number of characters
	KindModels  Kind = "models"  // which models may be asked
	KindHTTP    Kind = "http"    // a checker that runs elsewhere
)

// Direction is the way a text goes.
type Direction string

// The directions. Both is for checks only: a text goes one way.
const (
	Input  Direction = "input"  // to the model
	Output Direction = "output" // from the model
	Both   Direction = "both"
)

// Action is what happens with a finding.
type Action string

// The actions. ActionError is never configured: it is what Deps.Observe is told of a checker that did not answer.
const (
	Block       Action = "block"  // the request or the answer ends with an error
	Redact      Action = "redact" // what was found is replaced by [kind]
	Flag        Action = "flag"   // the text stays; the finding is reported
	ActionError Action = "error"
)

// Format is the protocol of an outside checker.
type Format string

// The formats.
const (
	Generic  Format = "generic"  // SutazAI's own; docs/guardrails.md describes it
	Presidio Format = "presidio" // POST /analyze of the Presidio analyzer
)

// Fail says what happens when an outside checker does not answer.
type Fail string

// Closed stops the request, Open lets the text pass.
const (
	Closed Fail = "closed"
	Open   Fail = "open"
)

// Config holds the policies by name. The checks of a policy run in their order, and each sees the text as the one before
// it left it.
type Config struct {
	Policies map[string][]Check
}

// Check is one check of a policy. Which fields have a meaning depends on Kind; one that has none is an error, but for
// Format, Timeout and Fail.
type Check struct {
	Kind   Kind
	Name   string    // stands in errors and metrics; "" = the kind (kind-2 for the second of its kind in the policy)
	On     Direction // "" = both
	Action Action    // "" = block

	Pattern   string // pattern
	MaxLength int    // pattern: bytes that a match has at most; 0 = 256

	Types  []string // pii: card, iban, email, phone, ip; none = card, iban, email. http, presidio: entity types; none = all
	Except []string // secrets: rules that are left out, by their name

	Max    int      // size: characters. http: bytes of text in one call; 0 = 50,000
	Models []string // models: names that are allowed; * stands for any text, / included, and ? for one character

	URL       string
	Format    Format            // "" = generic
	Headers   map[string]string // sent with every call, such as Authorization
	Timeout   time.Duration     // of one call; 0 = 5 s
	Fail      Fail              // "" = closed
	Language  string            // presidio; "" = en
	Threshold float64           // presidio: the lowest score that counts; 0 = 0.5
}

// Deps is what a Guard needs of the program around it.
type Deps struct {
	// Transport carries the calls to outside checkers. Redirects are not followed. Needed only with checks of kind http.
	Transport http.RoundTripper
	Logger    *slog.Logger // nil = nothing is logged
	// Observe is told of every finding, and with ActionError of every call to a checker that failed. It must be quick and
	// safe to call from several goroutines; nil = nobody is told.
	Observe func(policy, check string, dir Direction, action Action)
}

// Finding says what a check found and where. It never holds the text itself.
type Finding struct {
	Check  string
	Kind   string // card, secret:github-pat, person, …
	Text   int    // which text of several, from 0 (Pass.Texts, Pass.JSON)
	Start  int    // in bytes, in the text as this check saw it
	End    int
	Action Action
}

// Outcome is a text that passed, with what was found in it redacted.
type Outcome struct {
	Text     string
	Findings []Finding
}
