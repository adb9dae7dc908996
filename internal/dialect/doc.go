// Package dialect is what the front doors (core/backend/*) and the model gateway (services/aimodels) share: which
// protocols clients and providers speak, a client's call in its own bytes, where its answer goes, and the tools that
// look into such bytes without decoding them. It knows no route, provider or HTTP.
package dialect
