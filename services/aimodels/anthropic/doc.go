// Package anthropic is the Provider for servers that speak Anthropic's Messages dialect, at any base URL that ends in /v1.
//
// It owns the dialect and what the generations of Claude models take of it, and nothing else: no retries, no routes, no
// settings file.
package anthropic
