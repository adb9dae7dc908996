// Package responses is the Provider for servers that speak the Responses dialect: OpenAI's own, and those of the Open
// Responses specification, at any base URL.
//
// It owns the dialect and nothing else: no retries, no routes, no settings file. It keeps nothing at the server: every call
// carries its whole conversation. The dialect has no stop sequences, seed, top_k and penalties; they are left out.
package responses
