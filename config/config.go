// Package config owns the settings of SutazAI: their names, defaults, layers, checks and where each effective
// value came from. The defaults are data beside it (shared/, development/, production/) and embedded, so that the
// bare binary runs anywhere. It must not know what the settings are for: it starts nothing, opens no network or
// database, and reads no secret before somebody asks for it.
package config

import (
	"net/netip"
	"time"

	"github.com/sutazai/sutazai/core"
)

// Config is every setting, already merged, typed and checked. Durations are time.Duration, sizes are bytes.
// Treat it as read-only: a reload makes a new one.
//
// The yaml tag is the key. Further tags: doc (a description, where the shared file has no line to comment),
// default (of a field of a map entry or list item), enum, min, max, as:"size", format (see format.go), required,
// keys (the pattern of a map's keys), envkeys:"true" (a variable may name a new entry), short:"true" (a list written in
// the place of the section stands for this field), example (of a field, for messages), and reload:"true" for what a
// running server can take over without a restart. enum, min, max and format of a list or map are its items'.
type Config struct {
	Server   Server          `yaml:"server"`
	Log      Log             `yaml:"log"`
	Database Database        `yaml:"database"`
	Agents   Agents          `yaml:"agents"`
	Runs     Runs            `yaml:"runs"`
	Models   Models          `yaml:"models"`
	Tools    Tools           `yaml:"tools"`
	Peers    map[string]Peer `yaml:"peers" envkeys:"true" keys:"^[a-z0-9][a-z0-9_-]{0,62}$"`
	A2A      A2A             `yaml:"a2a"`
	MCP      MCP             `yaml:"mcp"`

	origin *layered // what Show, Check and Diff tell about; nil in a Config that was not made by Load
}

// Server is how the program is reached and where it keeps its data.
type Server struct {
	Listen         string        `yaml:"listen" format:"listen"`
	OllamaListen   string        `yaml:"ollama_listen" format:"optional listen"` // "" = off
	DataDir        string        `yaml:"data_dir"`                               // absolute after Load
	SecretKey      Secret        `yaml:"secret_key"`                             // unset = secret.key in DataDir
	Auth           string        `yaml:"auth" enum:"required,none"`
	PublicURL      string        `yaml:"public_url" format:"url"`
	AllowedHosts   []string      `yaml:"allowed_hosts" format:"host"`
	TrustedProxies []string      `yaml:"trusted_proxies" format:"network"`
	MaxBody        int64         `yaml:"max_body" as:"size" min:"1KB" max:"1GB"`
	RequestTimeout time.Duration `yaml:"request_timeout" min:"1s" max:"1h"`
	ShutdownGrace  time.Duration `yaml:"shutdown_grace" min:"0s" max:"1h"`
	SessionTTL     time.Duration `yaml:"session_ttl" min:"1m" max:"8760h"`
	RateLimit      RateLimit     `yaml:"rate_limit" reload:"true"`
	OAuth          OAuth         `yaml:"oauth"`
}

// Proxies returns the networks of TrustedProxies; an address is a network of one.
func (s Server) Proxies() []netip.Prefix {
	list := make([]netip.Prefix, 0, len(s.TrustedProxies))
	for _, text := range s.TrustedProxies {
		if p, err := parseNetwork(text); err == nil { // Load has let nothing else pass
			list = append(list, p)
		}
	}
	return list
}

// RateLimit bounds requests a minute.
type RateLimit struct {
	PerKeyPerMinute     int `yaml:"per_key_per_minute" min:"1"`
	PerAddressPerMinute int `yaml:"per_address_per_minute" min:"1"`
	LoginPerMinute      int `yaml:"login_per_minute" min:"1"`
	TokensPerKey        int `yaml:"tokens_per_key_per_minute" min:"0"` // 0 = no limit
}

// Log is what the server writes about itself.
type Log struct {
	Level  string `yaml:"level" enum:"debug,info,warn,error" reload:"true"`
	Format string `yaml:"format" enum:"auto,text,json"`
}

// Database is where runs, messages and keys are kept.
type Database struct {
	URL      Secret `yaml:"url" format:"database"` // empty = SQLite in the data folder
	MaxConns int    `yaml:"max_conns" min:"1" max:"1000"`
}

// Agents is where agent files lie and what a run may use when its file and request say nothing.
type Agents struct {
	Dir         string `yaml:"dir"` // absolute after Load
	Evaluations string `yaml:"evaluations" enum:"optional,required" reload:"true"`
	Limits      Limits `yaml:"limits" reload:"true"`
}

// Limits are the default limits of a run.
type Limits struct {
	Steps   int           `yaml:"steps" min:"1"`
	Tokens  int64         `yaml:"tokens" min:"1"`
	CostUSD float64       `yaml:"cost_usd" min:"0.000001"`
	Time    time.Duration `yaml:"time" min:"1s"`
	Depth   int           `yaml:"depth" min:"1" max:"32"`
}

// Core returns the limits as the rest of the program knows them.
func (l Limits) Core() core.Limits {
	return core.Limits{Steps: l.Steps, Tokens: l.Tokens, CostMicroUSD: core.MicroUSD(l.CostUSD), Time: l.Time, Depth: l.Depth}
}

// Runs is how runs are executed.
type Runs struct {
	MaxActive        int           `yaml:"max_active" min:"1" max:"10000"`
	ApprovalExpiry   time.Duration `yaml:"approval_expiry" min:"1m"`
	MaxRecoveries    int           `yaml:"max_recoveries" min:"1"`
	OutagePatience   time.Duration `yaml:"outage_patience" min:"0s"`
	MaxParallelTools int           `yaml:"max_parallel_tools" min:"1" max:"256"`
	RepeatedCalls    int           `yaml:"repeated_calls" min:"2"`
}

// Tools bounds what the built-in tools may use.
type Tools struct {
	WorkspaceMax int64         `yaml:"workspace_max" as:"size" min:"1KB" reload:"true"`
	OutputMax    int64         `yaml:"output_max" as:"size" min:"1KB" max:"16MB" reload:"true"`
	Timeout      time.Duration `yaml:"timeout" min:"1s" max:"24h" reload:"true"`
	Fetch        Fetch         `yaml:"fetch"`
	Sandbox      Sandbox       `yaml:"sandbox"`
}

// Fetch bounds what the fetch_url tool may reach.
type Fetch struct {
	AllowPrivate bool          `yaml:"allow_private"`
	AllowHosts   []string      `yaml:"allow_hosts" format:"host pattern"`
	MaxBytes     int64         `yaml:"max_bytes" as:"size" min:"1KB" max:"1GB" reload:"true"`
	Timeout      time.Duration `yaml:"timeout" min:"1s" max:"1h" reload:"true"`
}
