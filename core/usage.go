package core

import "time"

// Usage is what a model call, a step or a run has consumed. Cost is in millionths of a US dollar.
type Usage struct {
	InputTokens     int64 `json:"input_tokens"`
	OutputTokens    int64 `json:"output_tokens"`
	CachedTokens    int64 `json:"-"` // of the input, what the provider read from its prompt cache
	ReasoningTokens int64 `json:"-"` // of the output, what the model thought
	CostMicroUSD    int64 `json:"-"`
}

// CostUSD is the cost in US dollars.
func (u Usage) CostUSD() float64 { return float64(u.CostMicroUSD) / 1e6 }

// Tokens is the sum of both directions.
func (u Usage) Tokens() int64 { return u.InputTokens + u.OutputTokens }

// UsageRow is what the model calls of one day, model, key, agent or project have consumed.
type UsageRow struct {
	Key  string // the day in UTC as 2006-01-02, "provider/model", the id of an API key, the agent or the project
	Name string // of the API key; "" otherwise
	Runs int    // root runs that were made; counted by day and by agent only
	UsageSum
}

// What usage can be grouped by.
const (
	UsageByDay     = "day"
	UsageByModel   = "model"
	UsageByKey     = "key"
	UsageByAgent   = "agent"
	UsageByProject = "project"
)

// UsageKind is what a model was asked for.
type UsageKind string

// The kinds.
const (
	UsageChat  UsageKind = "chat"
	UsageEmbed UsageKind = "embed"
)

// CacheState says what a cache of answers did for a call.
type CacheState string

// The states.
const (
	CacheHit    CacheState = "hit"    // the answer came from the cache: no budget is charged
	CacheMiss   CacheState = "miss"   // it was looked for and not found
	CacheBypass CacheState = "bypass" // it was not looked for
)

// UsageEntry is the account of one model call.
type UsageEntry struct {
	At            time.Time // when the call ended
	Caller        Caller
	Model         string // "provider/model" that answered or was asked last
	Route         string // that the caller named; "" = the model itself
	Kind          UsageKind
	Usage         Usage
	Cache         CacheState
	SavedMicroUSD int64         // what a hit would have cost
	Code          Code          // why the call failed; "" = it did not
	Took          time.Duration // from the call to its end
}

// UsageKey says which calls one UsageRecord sums up.
type UsageKey struct {
	Hour    int64 // since 1970, in UTC
	Project string
	Key     string
	Agent   string
	Model   string
	Kind    UsageKind
}

// UsageSum is the sum over model calls.
type UsageSum struct {
	Requests      int64
	Errors        int64
	CacheHits     int64
	Usage         Usage
	SavedMicroUSD int64
	TookMS        int64 // all calls together
}

// Add returns the sum of both.
func (s UsageSum) Add(t UsageSum) UsageSum {
	return UsageSum{
		Requests: s.Requests + t.Requests, Errors: s.Errors + t.Errors, CacheHits: s.CacheHits + t.CacheHits,
		Usage: s.Usage.Add(t.Usage), SavedMicroUSD: s.SavedMicroUSD + t.SavedMicroUSD, TookMS: s.TookMS + t.TookMS,
	}
}

// UsageRecord is what the calls of one hour have consumed that have all else in common.
type UsageRecord struct {
	UsageKey
	UsageSum
}

// Add returns the sum of both usages.
func (u Usage) Add(v Usage) Usage {
	return Usage{
		InputTokens:     u.InputTokens + v.InputTokens,
		OutputTokens:    u.OutputTokens + v.OutputTokens,
		CachedTokens:    u.CachedTokens + v.CachedTokens,
		ReasoningTokens: u.ReasoningTokens + v.ReasoningTokens,
		CostMicroUSD:    u.CostMicroUSD + v.CostMicroUSD,
	}
}
