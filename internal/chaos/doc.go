// Package chaos holds a test: a tree of actors whose processes are killed,
// stopped, hung and restarted at random while they send each other everything
// there is to send, and a bookkeeper that afterwards accounts for each single
// message. It has no code of its own.
//
// go test ./internal/chaos runs it for some seconds; with -chaos=60s it runs
// for as long as that, and -seed repeats the choices of an earlier run as far
// as the scheduling of several processes can be repeated.
package chaos
