// Package cache keeps bytes under keys in two levels: in the process's memory (W-TinyLFU, bounded by bytes), and in a table
// that replicas share, behind the port Store. Each entry has its own time to live.
//
// A cache is never the reason why something fails: a second level that is slow, broken or damaged is a miss, and is left
// alone for a while after it has failed. Writes to it go in batches from one goroutine, which Close ends.
//
// The package knows neither what the bytes mean nor which database the table is in.
package cache
