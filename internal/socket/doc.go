// Package socket makes TCP connections cheaper to read and write for a process that does little else. The runtime takes
// every system call for one that may block: it notes its beginning and end, its monitor wakes every few ten microseconds to
// look for those that take long, and gives their place to another thread. A socket of Go never blocks, so that all of this
// is for nothing; it is up to a tenth of what a small request or a stream costs. Here the calls are made without it.
//
// It must not know what travels through a connection. Deadlines, Close and waiting are net's own; elsewhere than on Linux
// everything is.
package socket
