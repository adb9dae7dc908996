package backend

import "github.com/sutazai/sutazai/core"

// access says who may call a route and how large and how long a call may be.
type access struct {
	public bool         // anybody
	any    []core.Scope // those with one of these; none = any valid credential
	upload bool         // the body may be as large as Config.MaxUpload, not only Config.MaxBody
	small  bool         // the body is read from strangers: at most 16 KiB
	stream bool         // no time limit as a whole
}

// accessTable is the one list of routes and rights. A route that is not in it cannot be registered, and a test holds
// the routes of the live router against a reviewed list.
func accessTable(c Config) map[string]access {
	var (
		read    = []core.Scope{core.ScopeRead}
		run     = []core.Scope{core.ScopeRun}
		approve = []core.Scope{core.ScopeApprove}
		admin   = []core.Scope{core.ScopeAdmin}
	)
	return map[string]access{
		"POST /api/v1/runs":                       {any: run, upload: true},
		"GET /api/v1/runs":                        {any: read},
		"GET /api/v1/runs/{id}":                   {any: read},
		"GET /api/v1/runs/{id}/steps":             {any: read},
		"GET /api/v1/runs/{id}/messages":          {any: read},
		"GET /api/v1/runs/{id}/events":            {any: read, stream: true},
		"POST /api/v1/runs/{id}/cancel":           {any: run},
		"POST /api/v1/runs/{id}/resume":           {any: run},
		"POST /api/v1/runs/{id}/messages":         {any: run},
		"GET /api/v1/approvals":                   {any: []core.Scope{core.ScopeRead, core.ScopeApprove}},
		"GET /api/v1/approvals/{id}":              {any: []core.Scope{core.ScopeRead, core.ScopeApprove}},
		"POST /api/v1/approvals/{id}":             {any: approve},
		"GET /api/v1/agents":                      {any: read},
		"GET /api/v1/agents/{name}":               {any: read},
		"GET /api/v1/agents/{name}/versions":      {any: read},
		"POST /api/v1/agents/{name}/versions":     {any: admin},
		"PUT /api/v1/agents/{name}/version":       {any: admin},
		"GET /api/v1/agents/{name}/diff":          {any: read},
		"GET /api/v1/services":                    {any: read},
		"GET /api/v1/models":                      {any: read},
		"GET /api/v1/models/health":               {any: read},
		"GET /api/v1/models/routes":               {any: read},
		"POST /api/v1/models/test":                {any: run, stream: true}, // a model may be slow
		"GET /api/v1/overview":                    {any: read},
		"GET /api/v1/usage":                       {any: read},
		"DELETE /api/v1/cache":                    {any: admin},
		"GET /api/v1/budgets":                     {any: read},
		"GET /api/v1/budgets/{id}":                {any: read},
		"PUT /api/v1/budgets/{id}":                {any: admin},
		"DELETE /api/v1/budgets/{id}":             {any: admin},
		"GET /api/v1/keys":                        {any: admin},
		"POST /api/v1/keys":                       {any: admin},
		"GET /api/v1/keys/{id}":                   {any: admin},
		"DELETE /api/v1/keys/{id}":                {any: admin},
		"GET /api/v1/credentials":                 {any: admin},
		"POST /api/v1/credentials":                {any: admin},
		"DELETE /api/v1/credentials/{id}":         {any: admin},
		"POST /api/v1/credentials/rotate-master":  {any: admin},
		"GET /api/v1/mcp/servers":                 {any: read},
		"GET /api/v1/mcp/servers/{name}":          {any: read},
		"POST /api/v1/mcp/servers/{name}/approve": {any: admin},
		"POST /api/v1/mcp/servers/{name}/login":   {any: run}, // for others than the caller: admin, which the handler checks
		"DELETE /api/v1/mcp/servers/{name}/login": {any: run},
		"GET /api/v1/mcp/logins/{id}":             {any: run},
		"GET /api/v1/mcp/callback":                {public: true}, // what it may do is in its state, which is secret and good once
		"GET /api/v1/audit":                       {any: admin},
		"GET /api/v1/me":                          {},
		"GET /api/v1/setup":                       {public: true},
		"POST /api/v1/setup":                      {public: true, small: true},
		"POST /api/v1/session":                    {public: true, small: true},
		"DELETE /api/v1/session":                  {},
		"GET /api/openapi.json":                   {public: true},
		"GET /api/docs":                           {public: true},
		"GET /healthz":                            {public: true},
		"GET /readyz":                             {public: true},
		"GET /metrics":                            {public: c.OpenMetrics, any: read},
		"/api/":                                   {public: true}, // 404 and 405
		"/":                                       {public: true}, // the console's files

		// Evaluations.
		"GET /api/v1/evaluations":                     {any: read},
		"POST /api/v1/evaluations":                    {any: run},
		"GET /api/v1/evaluations/{id}":                {any: read},
		"POST /api/v1/evaluations/{id}/cancel":        {any: run},
		"GET /api/v1/evaluations/sets":                {any: read},
		"POST /api/v1/evaluations/sets/{agent}/cases": {any: admin},

		// The Model Context Protocol. Its messages have rights of their own beside these.
		"POST /mcp":   {any: []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}, upload: true, stream: true},
		"GET /mcp":    {any: []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}, stream: true},
		"DELETE /mcp": {any: []core.Scope{core.ScopeRead, core.ScopeRun, core.ScopeApprove}},
		"/mcp":        {public: true}, // 405
		"GET /.well-known/oauth-protected-resource":     {public: true},
		"GET /.well-known/oauth-protected-resource/mcp": {public: true},
		"/.well-known/": {public: true}, // 404

		// The Agent2Agent protocol. Deciding about a call needs the scope approve, which the handler checks.
		"GET /.well-known/agent-card.json":             {public: c.OpenCards, any: []core.Scope{core.ScopeRead, core.ScopeRun}},
		"GET /a2a/.well-known/agent-card.json":         {public: c.OpenCards, any: []core.Scope{core.ScopeRead, core.ScopeRun}},
		"GET /a2a/{agent}/.well-known/agent-card.json": {public: c.OpenCards, any: []core.Scope{core.ScopeRead, core.ScopeRun}},
		"GET /.well-known/jwks.json":                   {public: true}, // public keys
		"POST /a2a":                                    {any: run, upload: true, stream: true},
		"POST /a2a/{agent}":                            {any: run, upload: true, stream: true},
		"GET /a2a/{agent}/{rest...}":                   {any: run, stream: true},
		"POST /a2a/{agent}/{rest...}":                  {any: run, upload: true, stream: true},
		"DELETE /a2a/{agent}/{rest...}":                {any: run},
		"POST /lf.a2a.v1.A2AService/{method}":          {any: run, upload: true, stream: true},
		"/a2a/":                                        {public: true}, // 404

		// OpenAI's dialect.
		"POST /v1/chat/completions": {any: run, upload: true, stream: true},
		"POST /v1/embeddings":       {any: run, upload: true, stream: true}, // many texts take long
		"GET /v1/models":            {any: []core.Scope{core.ScopeRead, core.ScopeRun}},
		"GET /v1/models/{model...}": {any: []core.Scope{core.ScopeRead, core.ScopeRun}},
		"/v1/":                      {public: true}, // 404

		// The Responses dialect.
		"POST /v1/responses":                 {any: run, upload: true, stream: true},
		"GET /v1/responses/{id}":             {any: run},
		"DELETE /v1/responses/{id}":          {any: run},
		"GET /v1/responses/{id}/input_items": {any: run},
		"POST /v1/responses/{id}/cancel":     {any: run},

		// Anthropic's dialect.
		"POST /v1/messages":              {any: run, upload: true, stream: true},
		"POST /v1/messages/count_tokens": {any: run, upload: true},

		// Ollama's dialect.
		"GET /ollama/{$}":             {public: true}, // how clients find out whether it runs
		"GET /ollama/api/version":     {any: []core.Scope{core.ScopeRead, core.ScopeRun}},
		"GET /ollama/api/tags":        {any: []core.Scope{core.ScopeRead, core.ScopeRun}},
		"GET /ollama/api/ps":          {any: []core.Scope{core.ScopeRead, core.ScopeRun}},
		"POST /ollama/api/show":       {any: []core.Scope{core.ScopeRead, core.ScopeRun}},
		"POST /ollama/api/chat":       {any: run, upload: true, stream: true},
		"POST /ollama/api/generate":   {any: run, upload: true, stream: true},
		"POST /ollama/api/embed":      {any: run, upload: true, stream: true}, // many texts take long
		"POST /ollama/api/embeddings": {any: run, upload: true, stream: true},
		"/ollama/":                    {public: true}, // 404 and what is not supported
	}
}
