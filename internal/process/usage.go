package process

import "time"

// Usage is what the kernel counts for a process.
type Usage struct {
	Resident int64 // bytes of memory, with what it shares
	Shared   int64 // of them, bytes of files and of shared memory: arrays, its own executable
	CPU      time.Duration
	Files    int // open descriptors; 0 if we may not look
	Threads  int
	Stopped  bool // by a signal or a debugger
}
