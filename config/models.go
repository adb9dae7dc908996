package config

import "time"

// Models is which models there are and how they are called.
type Models struct {
	Providers         map[string]Provider `yaml:"providers" envkeys:"true" keys:"^[a-z0-9][a-z0-9_-]{0,62}$"`
	Routes            map[string]Route    `yaml:"routes" envkeys:"true" keys:"^[a-z0-9][a-z0-9._-]{0,62}$"`
	MaxOutputTokens   int                 `yaml:"max_output_tokens" min:"1" max:"10000000"`
	Retry             Retry               `yaml:"retry"`
	Breaker           Breaker             `yaml:"breaker"`
	Cache             Cache               `yaml:"cache"`
	Guardrails        map[string][]Check  `yaml:"guardrails" keys:"^[a-z0-9][a-z0-9._-]{0,62}$"`
	DefaultGuardrails []string            `yaml:"default_guardrails"`
	Local             Local               `yaml:"local"`
}

// Provider is one model server.
type Provider struct {
	Kind        string            `yaml:"kind" enum:"local,openai,responses,anthropic,gemini,azure,bedrock,ollama" required:"true" doc:"Which server it is: local (the model server that SutazAI runs itself), openai (anything that speaks the OpenAI chat API), responses (the OpenAI Responses API), anthropic, gemini, azure (Azure OpenAI), bedrock (AWS), ollama."`
	BaseURL     string            `yaml:"base_url" format:"url" default:"" doc:"Address of the API, such as https://api.example.com/v1. Needed for openai and azure; the others know their own where it is empty (ollama: http://127.0.0.1:11434)."`
	APIKey      Secret            `yaml:"api_key" default:"" doc:"The key, by reference: env:NAME or file:/path."`
	APIKeys     []Secret          `yaml:"api_keys" default:"[]" doc:"Several keys, by reference, used in turn. A key that is refused or asked to wait is left out while it is."`
	Region      string            `yaml:"region" format:"region" default:"" doc:"Region of the service, such as eu-central-1; for bedrock, which needs it."`
	APIVersion  string            `yaml:"api_version" default:"" doc:"Version of the API, such as 2024-10-21; for azure. Empty: the one that needs none."`
	Deployments map[string]string `yaml:"deployments" keys:"." default:"{}" doc:"Names of deployments by model name; for azure. A model that is not named is its own deployment."`
	Quirks      string            `yaml:"quirks" enum:"auto,openai,vllm,llamacpp,lmstudio,groq,mistral,deepseek,openrouter,together,fireworks,xai,perplexity,cerebras" default:"auto" doc:"Whose habits the server has, where they differ from OpenAI's; for openai. auto: told by the address."`
	Tools       string            `yaml:"tools" enum:"auto,native,constrained" default:"auto" doc:"How models call tools: native (the server's own tool calls), constrained (the answer is held to a schema; for models that know no tools), auto (native where it is known to work)."`
	Timeout     time.Duration     `yaml:"timeout" min:"1s" max:"24h" default:"120s" doc:"How long one call may stay silent before it counts as failed."`
	Probe       time.Duration     `yaml:"probe" min:"0s" max:"24h" default:"0s" doc:"Wait between two health probes while the breaker of one of its models is open. 0s: models.breaker.open."`
	Concurrency Concurrency       `yaml:"concurrency" default:"{}" doc:"How many calls it works on at the same time."`
	Headers     map[string]Secret `yaml:"headers" keys:"^[A-Za-z0-9!#$%&'*+.^_|~-]+$" default:"{}" doc:"Further HTTP headers of every call; a value may be a reference like api_key."`
	Models      []string          `yaml:"models" default:"[]" doc:"The models to offer. Empty: whatever the server lists."`
	Windows     map[string]int    `yaml:"context" keys:"." min:"512" max:"100000000" default:"{}" doc:"How many tokens of conversation and answer a model takes, by model name, or * for all. Runs shorten and sum up what no longer fits; where it is not given, once a model has refused a conversation for its length."`
	Prices      map[string]Price  `yaml:"prices" keys:"." default:"{}" doc:"What a model costs, by model name. A model without a price costs nothing."`
}

// Keys returns the references of every key that the settings give, api_key first.
func (p Provider) Keys() []Secret {
	var keys []Secret
	for _, key := range append([]Secret{p.APIKey}, p.APIKeys...) {
		if key.IsSet() {
			keys = append(keys, key)
		}
	}
	return keys
}

// Concurrency bounds the calls that a provider gets at the same time, so that it is never drowned.
type Concurrency struct {
	Max   int           `yaml:"max" min:"0" max:"100000" default:"0" doc:"Calls at the same time. 0: found out from how fast it answers."`
	Queue int           `yaml:"queue" min:"0" max:"1000000" default:"64" doc:"Calls that wait for their turn; a further one gets 429."`
	Wait  time.Duration `yaml:"wait" min:"0s" max:"1h" default:"30s" doc:"Longest wait for a turn; then 429 with Retry-After."`
}

// Price is what a model costs.
type Price struct {
	InputUSDPerMillion       float64 `yaml:"input_usd_per_million" min:"0" default:"0" doc:"US dollars for a million input tokens."`
	CachedInputUSDPerMillion float64 `yaml:"cached_input_usd_per_million" min:"0" default:"0" doc:"US dollars for a million input tokens that the provider had in its own cache. 0: as other input tokens."`
	OutputUSDPerMillion      float64 `yaml:"output_usd_per_million" min:"0" default:"0" doc:"US dollars for a million output tokens."`
}

// Route is a name that stands for models. A list of targets in its place is a route with that list and the defaults.
type Route struct {
	Targets        []Target      `yaml:"targets" short:"true" required:"true" doc:"The models that may answer."`
	Strategy       string        `yaml:"strategy" enum:"ordered,weighted,least_latency,cheapest" default:"ordered" doc:"Which target is tried first: ordered (as written), weighted (by chance, in proportion to weight), least_latency (the one that answered fastest of late), cheapest (by models.providers.*.prices)."`
	Fallback       []string      `yaml:"fallback" enum:"overload,timeout,context,refusal,error" default:"overload,timeout,error" doc:"After which failures the next target is tried: overload (429, full queue, open breaker), timeout, context (the conversation is too long for the model), refusal (the model declines), error (anything else that is the server's fault)."`
	Sticky         bool          `yaml:"sticky" default:"false" doc:"Whether a conversation stays with the target that answered it first, as long as that one works."`
	Hedge          time.Duration `yaml:"hedge" min:"0s" max:"10m" default:"0s" doc:"After how long without a first word the next target is asked too; the first to answer is used, and both may cost. 0s: never."`
	Cache          string        `yaml:"cache" enum:"off,exact,semantic" default:"off" doc:"Whether answers are kept and given again: exact (to the same request), semantic (also to one that means the same)."`
	CacheTTL       time.Duration `yaml:"cache_ttl" min:"0s" max:"8760h" default:"0s" doc:"How long its answers are kept. 0s: models.cache.ttl."`
	CacheThreshold float64       `yaml:"cache_threshold" min:"0" max:"1" default:"0" doc:"How alike two requests must be to mean the same, from 0 to 1. 0: models.cache.semantic.threshold."`
	Guardrails     []string      `yaml:"guardrails" default:"[]" doc:"Names of models.guardrails that are applied besides models.default_guardrails."`
}

// Target is one place where a route may send a call.
type Target struct {
	Target string `yaml:"target" format:"target" required:"true" example:"local/default" doc:"The model to call, as provider/model."`
	Weight int    `yaml:"weight" min:"0" max:"1000000" default:"1" doc:"Share of the calls, in proportion to the other weights; for the strategy weighted. 0: only when the others fail."`
}

// Retry is how often and how fast a failed model call is tried again.
type Retry struct {
	Attempts int           `yaml:"attempts" min:"1" max:"20"`
	Base     time.Duration `yaml:"base" min:"1ms"`
	Max      time.Duration `yaml:"max" min:"1ms"`
}

// Breaker is when a failing model server is left alone for a while.
type Breaker struct {
	Failures int           `yaml:"failures" min:"1"`
	Open     time.Duration `yaml:"open" min:"10ms"`
}

// Cache is what is kept of answers for the routes that wish it, and of vectors.
type Cache struct {
	Memory     int64         `yaml:"memory" as:"size" min:"1MB" max:"1TB"`
	TTL        time.Duration `yaml:"ttl" min:"1s" max:"8760h"`
	Semantic   Semantic      `yaml:"semantic"`
	Embeddings bool          `yaml:"embeddings"`
}

// Semantic is when two requests mean the same.
type Semantic struct {
	Model     string  `yaml:"model" format:"optional target"` // the embedding model; "" = none
	Threshold float64 `yaml:"threshold" min:"0.01" max:"1"`
}

// Check is one check of a guardrail. Which fields belong to which kind is held by checkGuardrails.
type Check struct {
	Kind      string        `yaml:"kind" enum:"pattern,pii,secrets,size,models,http" required:"true" example:"secrets" doc:"What is looked for: pattern (a regular expression), pii (personal data), secrets (keys and passwords), size (too much text), models (which models may be called), http (a checker of your own)."`
	Name      string        `yaml:"name" default:"" doc:"How findings of this check are called. Empty: its kind."`
	On        string        `yaml:"on" enum:"input,output,both" default:"both" doc:"Which texts are checked: what the client sends (input), what the model answers (output), both."`
	Action    string        `yaml:"action" enum:"block,redact,flag" default:"block" doc:"What happens to a text in which something is found: block (the call fails), redact (what was found is blacked out), flag (it is only recorded)."`
	Pattern   string        `yaml:"pattern" format:"pattern" default:"" doc:"The regular expression (RE2); for pattern, which needs it."`
	MaxLength int           `yaml:"max_length" min:"0" max:"65536" default:"0" doc:"Longest text that the pattern can match, in bytes; so much of a streamed answer is held back. 0: a usual length. For pattern."`
	Types     []string      `yaml:"types" enum:"email,card,iban,phone,ip" default:"[]" doc:"Which personal data; for pii. Empty: card, iban and email."`
	Max       int64         `yaml:"max" as:"size" min:"0B" max:"1GB" default:"0B" doc:"Largest text; for size, which needs it."`
	Models    []string      `yaml:"models" default:"[]" doc:"The models that may be called, such as local/* or a route's name; for models, which needs it."`
	URL       string        `yaml:"url" format:"url" default:"" doc:"Where the checker listens; for http, which needs it."`
	Format    string        `yaml:"format" enum:"generic,presidio" default:"generic" doc:"What the checker speaks; for http."`
	Timeout   time.Duration `yaml:"timeout" min:"10ms" max:"1m" default:"2s" doc:"How long the checker may take; for http."`
	Fail      string        `yaml:"fail" enum:"open,closed" default:"closed" doc:"What happens when the checker cannot be reached: closed (the call fails), open (the text passes); for http."`
}

// Local is the model server that SutazAI finds, starts and watches itself.
type Local struct {
	Runtime      string        `yaml:"runtime" enum:"auto,llama-server,ollama,xllamacpp,off"`
	Model        string        `yaml:"model"`
	Python       string        `yaml:"python"`
	Threads      int           `yaml:"threads" min:"0" max:"1024"`
	Context      int           `yaml:"context" min:"512" max:"10000000"`
	Parallel     int           `yaml:"parallel" min:"1" max:"256"`
	ReadyTimeout time.Duration `yaml:"ready_timeout" min:"1s" max:"1h"`
	Hub          string        `yaml:"hub" format:"url"`
}
