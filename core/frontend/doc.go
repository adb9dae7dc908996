// Package frontend holds the web console: the TypeScript program in src/ and the handler that serves what
// `npm run build` made of it. It owns the files, their caching and their encodings. It must not know the API
// behind it, sessions or security headers: those are the backend's, which hands in the nonce of each response.
package frontend
