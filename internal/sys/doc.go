// Package sys states facts of the machine and of this program's binary: the monotonic clock that all processes share,
// whether the processors are busy, the build id, lines of the process table, the kernel's release. It also holds the two idioms that
// every package with system calls needs: repeating an interrupted call, and borrowing a file's descriptor.
//
// It may import the standard library and golang.org/x/sys only.
package sys
