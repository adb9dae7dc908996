// Package gemini is the Provider for Google's Gemini API (generateContent), at any base URL that ends in the API's version.
//
// It owns the dialect and what the generations of Gemini models take of it, and nothing else: no retries, no routes, no
// settings file.
package gemini
