// Package local is the Provider of the model server on this machine: it finds one that runs, or a program and a model
// file from which it starts one under internal/supervisor, and downloads model files.
//
// It owns discovery, the server's process and the model files in the data folder. It must not know the gateway's rules,
// settings files or runs; the dialects of the servers are given to it as functions.
//
// A server that it starts listens on a free port of the loopback address, behind a key that is made for each start
// (Ollama knows no keys), gets no secret of ours in its environment, and ends with this process however that dies.
package local
