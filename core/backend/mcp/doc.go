// Package mcp serves SutazAI by the Model Context Protocol at /mcp: agents and runs as tools, resources and prompts. It
// owns what the protocol's messages mean here: who may send which, what they answer, how long a session and its streams
// last. It must not know how runs are executed, where they are kept or who may sign in; the protocol's own machinery is
// the Go SDK's.
//
// Two revisions of the protocol differ in their transport, and both are served at one address: up to 2025-11-25 a client
// opens a session, from 2026-07-28 on every request stands alone. The header Mcp-Protocol-Version tells them apart.
package mcp
