// Package process is everything an actor framework has to know about operating-system processes: how one is
// spawned, named, limited, listened to, stopped and outlived, and how nothing of it is left behind.
//
// Only Linux has what it needs (pidfd, memfd, a parent-death signal, /proc). On other systems the package
// compiles, and what would touch a child returns [errors.ErrUnsupported].
//
// Ownership: files handed to Start are borrowed, the caller closes its copies afterwards. Every descriptor made
// here is close-on-exec from birth, so none of them reaches a child that it was not meant for.
package process
