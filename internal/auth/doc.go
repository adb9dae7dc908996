// Package auth says who a caller is: API keys, console sessions, the set-up link of the first administrator, and the
// unix socket that only its owner can open. It owns secrets' forms, hashes and lifetimes. It must not know which route
// needs which right, nor SQL; stores are given to it.
package auth
