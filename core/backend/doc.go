// Package backend is the HTTP surface: routes, middleware, error forms, event streams, health and the reference page.
// It decodes, authenticates, limits, calls one port and encodes. It must not know how runs are executed or stored, and
// the protocols of others live in sub-packages (openai), which hand their routes to it.
package backend
