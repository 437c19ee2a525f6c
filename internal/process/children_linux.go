package process

import "sync"

// children are the processes that this package started and has not reaped. It is locked from before a fork until the
// child is in it, and while one is reaped and taken out: whoever holds the lock and sees a child of this process that is
// not in it knows that it was not started here.
type children struct {
	sync.Mutex
	pids map[int]bool
}

var ownChildren = children{pids: make(map[int]bool)}

// has reports whether pid is one of them.
func (c *children) has(pid int) bool {
	c.Lock()
	defer c.Unlock()
	return c.pids[pid]
}

// reap takes the zombie of a child away.
func (c *children) reap(pid int) Status {
	c.Lock()
	defer c.Unlock()
	defer delete(c.pids, pid)
	return reap(pid)
}
