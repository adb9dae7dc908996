// Package azure is the Provider for Azure OpenAI: OpenAI's dialect at Azure's addresses, where models have deployments.
//
// It owns the addresses, the names of deployments and how the key is sent, and nothing else: the dialect is openaicompat's.
package azure
