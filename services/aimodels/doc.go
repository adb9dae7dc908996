// Package aimodels calls AI models: the Provider interface with one sub-package for each kind of provider, and the
// Gateway through which everything else calls them.
//
// It owns routes, retries, circuit breakers, usage and prices. It must not know runs, databases, settings files or HTTP
// servers of ours; a provider must not know the gateway's rules.
//
// Retries live here and nowhere else: providers make one try, the gateway repeats it, and its callers repeat nothing
// but park a run when the error's code is core.CodeUnavailable.
package aimodels
