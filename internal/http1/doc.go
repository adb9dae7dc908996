// Package http1 is the way to model servers: an http.RoundTripper that speaks HTTP/1.1 and nothing else. It owns its
// connections and keeps them without a goroutine each: whoever calls RoundTrip writes the request and reads the answer on
// its own goroutine, so that a request costs no hand-over between goroutines and an idle connection costs no stack.
//
// It must not know what travels through it: no dialect, no key, no retry of an answered request. It follows no redirect,
// keeps no cookie, asks for no compression and never uses a proxy by itself; Direct says where one is configured.
package http1
