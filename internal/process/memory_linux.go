package process

import (
	"bytes"
	"os"
	"strconv"
	"sync"
	"time"
)

// memoryPoll is how often children with a memory limit are measured. It seconds RLIMIT_DATA, which stops the
// ordinary bomb at once.
const memoryPoll = 100 * time.Millisecond

// memoryWatch kills children whose resident private memory exceeds their limit. It runs one goroutine while there
// is such a child.
type memoryWatch struct {
	mu      sync.Mutex
	watched map[*Process]int64
	stop    chan struct{} // of the running goroutine
}

var theMemoryWatch memoryWatch

func (m *memoryWatch) add(p *Process, limit int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.watched == nil {
		m.watched = make(map[*Process]int64)
	}
	m.watched[p] = limit
	if m.stop == nil {
		m.stop = make(chan struct{})
		go m.run(m.stop)
	}
}

func (m *memoryWatch) remove(p *Process) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.watched, p)
	if len(m.watched) == 0 && m.stop != nil {
		close(m.stop)
		m.stop = nil
	}
}

func (m *memoryWatch) run(stop chan struct{}) {
	ticker := time.NewTicker(memoryPoll)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		for p, limit := range m.snapshot() {
			if used, ok := residentPrivate(p.pid); ok && used > limit {
				p.killForMemory()
			}
		}
	}
}

func (m *memoryWatch) snapshot() map[*Process]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[*Process]int64, len(m.watched))
	for p, limit := range m.watched {
		all[p] = limit
	}
	return all
}

// killForMemory is Kill with the reason noted. If the pid was reused since it was measured, this does nothing.
func (p *Process) killForMemory() {
	p.mu.Lock()
	if !p.reaped {
		p.overMemory = true
	}
	p.mu.Unlock()
	_ = p.Kill() // ErrDone at worst
}

// residentPrivate returns the resident memory of a process in bytes, without what it shares: arrays that others
// lent it are not its own.
func residentPrivate(pid int) (int64, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	if err != nil {
		return 0, false
	}
	fields := bytes.Fields(data) // size resident shared ..., in pages (proc_pid_statm(5))
	if len(fields) < 3 {
		return 0, false
	}
	resident, err1 := strconv.ParseInt(string(fields[1]), 10, 64)
	shared, err2 := strconv.ParseInt(string(fields[2]), 10, 64)
	return (resident - shared) * int64(os.Getpagesize()), err1 == nil && err2 == nil
}
