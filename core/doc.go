// Package core holds the nouns of SutazAI: agents, runs, steps, messages, tools, approvals, events, usage
// and the one error type. It has no interfaces and does no I/O; every other package may import it and it
// imports none of them.
package core
