// Package process starts, names, limits, listens to, stops and outlives child processes. What is left behind when a system
// ends is the concern of internal/orphans.
//
// Only Linux has what it needs (pidfd, memfd, a parent-death signal, /proc). On other systems the package
// compiles, and what would touch a child returns [errors.ErrUnsupported].
//
// Ownership: files handed to Start are borrowed, the caller closes its copies afterwards. Every descriptor made
// here is close-on-exec from birth, so none of them reaches a child that it was not meant for; nor does what this process
// inherited itself.
//
// It may import internal/cgroup, internal/memfd, internal/sys and golang.org/x/sys.
package process
