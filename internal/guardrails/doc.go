// Package guardrails checks what goes to a model and what it answers: patterns, personal data, credentials, size, which
// models are allowed, and checkers that run elsewhere. A check blocks, redacts or flags what it finds; streamed text is
// held back only as long as its end may still be the beginning of something that a check looks for.
//
// It owns policies and their checks. It knows neither providers nor routes, and of the protocols only which values of a
// JSON body can be prose (RewriteJSON). What it found is never part of an error, a log line or a Finding.
package guardrails
