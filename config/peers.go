package config

import "time"

// Peer is an agent that runs elsewhere: a server that speaks A2A, or a program on this machine. What stands here is the only
// place that can name a command: nothing that comes over the network does.
type Peer struct {
	Protocol  string            `yaml:"protocol" enum:"a2a,acp,jsonl" required:"true" doc:"How it is talked to: a2a (a server that speaks the Agent2Agent protocol), acp (a program that speaks the Agent Client Protocol), jsonl (a program that reads and writes lines of JSON)."`
	URL       string            `yaml:"url" format:"url" default:"" doc:"Where it is, such as https://agents.example.com/a2a/clerk: its card is looked for there, under /.well-known/agent-card.json; the address of the card itself does too. For a2a, which needs it."`
	Transport string            `yaml:"transport" enum:"auto,jsonrpc,rest,grpc" default:"auto" doc:"Which of the transports on its card is used; auto: the first one that is known. For a2a."`
	Hosts     []string          `yaml:"hosts" format:"host" default:"[]" doc:"Further hosts that its card may name. They get the credentials too. For a2a."`
	CardKeys  string            `yaml:"card_keys" format:"url" default:"" doc:"Where the keys are by which its card must be signed (a JSON Web Key Set). Empty: a signed card is checked with the keys that it names itself, if they are at its own address. For a2a."`
	Auth      PeerAuth          `yaml:"auth" default:"{}" doc:"What it is shown to be let in. For a2a."`
	Headers   map[string]Secret `yaml:"headers" keys:"^[A-Za-z0-9!#$%&'*+.^_|~-]+$" default:"{}" doc:"Further HTTP headers of every call; a value may be a reference: env:NAME or file:/path. For a2a."`
	Command   []string          `yaml:"command" default:"[]" doc:"The program and its arguments; no shell reads them. For acp and jsonl, which need it."`
	Env       map[string]Secret `yaml:"env" keys:"^[A-Za-z_][A-Za-z0-9_]*$" default:"{}" doc:"Variables of the program's environment; a value may be a reference: env:NAME or file:/path. It gets PATH, HOME, LANG and TMPDIR besides, and none of the server's other variables. For acp and jsonl."`
	Cwd       string            `yaml:"cwd" default:"" doc:"Folder in which the program runs. Empty: the workspace of the run, or with per: peer a folder of its own in the data folder. For acp and jsonl."`
	Per       string            `yaml:"per" enum:"run,peer" default:"run" doc:"Whether every run has a process of its own (run), or all share one (peer). For acp and jsonl."`
	Login     string            `yaml:"login" default:"" doc:"Which of the ways to log in that the program offers is used when it asks for a login. Empty: none; it must find its credentials itself, in env or where it keeps them. For acp."`
	Timeout   time.Duration     `yaml:"timeout" min:"1s" max:"24h" default:"30m" doc:"How long one turn may take. The time in which acp and jsonl ask a person does not count."`
	Effect    string            `yaml:"effect" enum:"unsafe,idempotent,read_only" default:"unsafe" doc:"What a repeated turn would do to the world, for agents whose files say nothing: unsafe (never repeated without a person), idempotent (the peer knows a repeated turn by its key), read_only."`
}

// PeerAuth is what a peer is shown to be let in.
type PeerAuth struct {
	Kind         string   `yaml:"kind" enum:"none,bearer,api_key,basic,oauth" default:"none" doc:"none, bearer (Authorization: Bearer), api_key (a header of its own), basic (user and password), oauth (OAuth 2 client credentials)."`
	Token        Secret   `yaml:"token" default:"" doc:"The token, key or password, by reference: env:NAME or file:/path. For bearer, api_key and basic, which need it."`
	Header       string   `yaml:"header" format:"header" default:"" doc:"The header that carries the key. Empty: X-API-Key. For api_key."`
	User         string   `yaml:"user" default:"" doc:"The user. For basic, which needs it."`
	TokenURL     string   `yaml:"token_url" format:"url" default:"" doc:"Where tokens are got. For oauth, which needs it."`
	ClientID     string   `yaml:"client_id" default:"" doc:"For oauth, which needs it."`
	ClientSecret Secret   `yaml:"client_secret" default:"" doc:"By reference: env:NAME or file:/path. For oauth, which needs it."`
	Scopes       []string `yaml:"scopes" default:"[]" doc:"What is asked for. For oauth."`
}
