// Package openaicompat is the Provider for every server that speaks OpenAI's chat completions dialect: OpenAI itself,
// llama.cpp's server, vLLM and many others, at any base URL.
//
// It owns the dialect and nothing else: no retries, no routes, no settings file.
package openaicompat
