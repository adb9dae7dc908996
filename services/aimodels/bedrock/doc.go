// Package bedrock is the Provider for AWS Bedrock: the Converse API, whose streams are binary events, and the requests for
// vectors of Titan and Cohere models.
//
// It owns the dialect, its signatures and what the families of models take of it, and nothing else: no retries, no routes,
// no settings file.
package bedrock
