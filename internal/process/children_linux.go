package process

import "sync"

// children are the processes that this package started and has not reaped. It is locked from before a fork until the
// child is in it, and while one is reaped and taken out: the holder of the lock who sees a child of this process that is
// not in it knows that it was not started here.
type children struct {
	sync.Mutex
	pids map[int]bool
}

var ownChildren = children{pids: make(map[int]bool)}

// IsChild reports whether pid is a child that Start began and that is not reaped yet.
func IsChild(pid int) bool {
	ownChildren.Lock()
	defer ownChildren.Unlock()
	return ownChildren.pids[pid]
}

// ReapIfForeign calls reap unless pid is a child that Start began. Meanwhile none is begun or reaped: what is a child of
// this process then, and not one of Start's, was not started here.
func ReapIfForeign(pid int, reap func()) {
	ownChildren.Lock()
	defer ownChildren.Unlock()
	if !ownChildren.pids[pid] {
		reap()
	}
}

// reap takes the zombie of a child away.
func (c *children) reap(pid int) Status {
	c.Lock()
	defer c.Unlock()
	defer delete(c.pids, pid)
	return reap(pid)
}
