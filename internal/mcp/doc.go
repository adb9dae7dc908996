// Package mcp gives agents the tools of servers that speak the Model Context Protocol. It owns the connections to the
// servers, the logins at them, the record of what each server says of its tools and which of that an administrator has
// approved, and the calls. It must not know of runs beyond the invocation that it is given, of approvals of calls, and of
// how a call is journalled; what a server says is never taken for more than a server's word.
package mcp
