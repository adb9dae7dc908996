// Package secrets keeps the keys of model providers, and what other parts give it, encrypted at rest: it owns the master key, what is encrypted under
// it, and the way of a key from the person who gives it to the part that uses it. It must not know providers, addresses
// or HTTP, and what it decrypts goes nowhere but to the function that it was given for it.
package secrets
