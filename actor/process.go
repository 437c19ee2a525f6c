package actor

// Process is what an actor's process is given. Zero fields are the defaults:
// the environment and directory of the process that supervises it, and no
// limits. A limit that cannot be set fails the start. Actors in a goroutine
// (InProcess) cannot be limited.
type Process struct {
	Env []string // entries "KEY=value", added to the supervising process's environment; of two equal keys the last counts
	Dir string   // working directory

	// Memory is in bytes, at least 16 MiB: of what is the process's own, that is
	// anonymous memory, resident or swapped out. Arrays that are mapped do not
	// count: they belong to a budget of shared memory that is as large. The
	// garbage collector works against the limit (GOMEMLIMIT); a process that
	// stays above it for 100 ms, or keeps more than it alive, is ended for that
	// reason. 64 MiB serve an actor that keeps 30 MiB. Where the memory of control
	// groups can be limited (see supervisor.Options), it is also, at once and by
	// the kernel, that of the actor with all its descendants, together with the
	// arrays that it made, wherever they are held, and with all that the kernel
	// holds for it.
	Memory int64
	Files  int // open descriptors (RLIMIT_NOFILE)
	CPUs   int // number of CPUs it may run on (affinity) and its GOMAXPROCS
	Nice   int // scheduling priority, -20 (first) to 19 (last); 0 leaves the supervising process's
}

// Mailbox bounds the messages of one sender that an actor has not begun. Both
// bounds hold; a sender that reaches one of them waits.
type Mailbox struct {
	Messages int // 0: 1024
	Bytes    int // 0: 8 MiB
}
