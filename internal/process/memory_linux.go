package process

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// How a memory limit is held, without a control group: the collector of a Go child works against it (goMemoryLimit), a
// poll of what is resident kills who stays above it, the child ends itself when its collector can do no more
// (WatchHeap), and RLIMIT_DATA, set when the child is ready, refuses what comes at once. A healthy child with half of the limit
// alive that makes garbage as fast as it can is above the limit for 30 ms at a time, and its address space grows by twice the limit:
// the numbers below let it live.
const (
	// memoryGrace is how long a child may be above its limit.
	memoryGrace = 100 * time.Millisecond
	// memoryFactor times the limit is too much at once.
	memoryFactor = 3
	// The time between two looks depends on what is left: at memoryRate bytes a second the limit is not reached before the next.
	memoryPollMin, memoryPollMax = 2 * time.Millisecond, 100 * time.Millisecond
	memoryRate                   = 2 << 30
	// dataMin is the least that RLIMIT_DATA allows beyond what there is when the child is ready.
	dataMin = 128 << 20
	// The least limits: of what the Go runtime of this program needs to start, and of what an exec needs.
	leastOwn, leastForeign = 16 << 20, 1 << 20
)

// memoryJudge decides by samples of a child's memory. It looks at no clock and no child.
type memoryJudge struct {
	limit          int64
	over           time.Time // of the first sample above the limit since the last one that was not; zero if that was the last
	resident, peak int64     // of the last sample, and the largest
}

// sample takes what is resident at a time, and says whether to kill the child, and otherwise when to look again.
func (j *memoryJudge) sample(now time.Time, resident int64) (kill bool, next time.Duration) {
	j.resident, j.peak = resident, max(j.peak, resident)
	switch {
	case resident <= j.limit:
		j.over = time.Time{}
	case j.over.IsZero():
		j.over = now
	}
	if resident > memoryFactor*j.limit || !j.over.IsZero() && now.Sub(j.over) >= memoryGrace {
		return true, 0
	}
	room := max(0, j.limit-resident)
	return false, min(memoryPollMax, max(memoryPollMin, time.Duration(float64(room)/memoryRate*float64(time.Second))))
}

// watchMemory kills the child when its judge says so, until stop is closed. It closes done with the judge's last word in
// p.judge.
func (p *Process) watchMemory(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	fd, err := unix.Open("/proc/"+strconv.Itoa(p.pid)+"/status", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // it is dead, or there is no descriptor: RLIMIT_DATA and the collector remain
	}
	defer func() { _ = unix.Close(fd) }()
	timer := time.NewTimer(memoryPollMin)
	defer timer.Stop()
	var text [4096]byte
	for {
		select {
		case <-stop:
			return
		case <-timer.C:
		}
		n, err := unix.Pread(fd, text[:], 0)
		resident, ok := anonymous(text[:max(n, 0)])
		if err != nil || !ok {
			return // it is a zombie
		}
		kill, next := p.judge.sample(time.Now(), resident)
		if kill {
			p.killForMemory()
			return
		}
		timer.Reset(next)
	}
}

// anonymous returns what proc_pid_status(5) says of memory that is the process's own, in bytes: resident without what is
// of files and shared (arrays that others lent it are not its own), and swapped out.
func anonymous(status []byte) (int64, bool) {
	number := func(name string) (int64, bool) {
		_, rest, found := bytes.Cut(status, []byte("\n"+name+":"))
		line, _, _ := bytes.Cut(rest, []byte("\n"))
		kib, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(line, []byte("kB")))), 10, 64)
		return kib << 10, found && err == nil
	}
	resident, ok := number("RssAnon")
	swapped, _ := number("VmSwap") // not without swap
	return resident + swapped, ok
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

// Ready says that the child has started: what it maps from now on is bounded by its memory limit (RLIMIT_DATA). Before, a
// runtime maps more than it will ever use, and how much is not known. It is called once; without a memory limit it does
// nothing. The error is nil also if the child is dead.
func (p *Process) Ready() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.boundData || p.reaped {
		return nil
	}
	data, ok := dataSize(p.pid)
	if !ok {
		return nil
	}
	v := uint64(data + max(2*p.limit, dataMin))
	if err := unix.Prlimit(p.pid, unix.RLIMIT_DATA, &unix.Rlimit{Cur: v, Max: v}, nil); err != nil && err != unix.ESRCH {
		return fmt.Errorf("process %d: %w", p.pid, &LimitError{"memory", p.limit, err})
	}
	return nil
}

// dataSize returns what counts for RLIMIT_DATA, in bytes: the sixth field of proc_pid_statm(5).
func dataSize(pid int) (int64, bool) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/statm")
	fields := bytes.Fields(text)
	if err != nil || len(fields) < 6 {
		return 0, false
	}
	pages, err := strconv.ParseInt(string(fields[5]), 10, 64)
	return pages * int64(os.Getpagesize()), err == nil
}

// Resident returns what a process holds for itself, in bytes: anonymous memory, resident or swapped out. It is 0 if there is
// no such process.
func Resident(pid int) int64 {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0
	}
	resident, _ := anonymous(status)
	return resident
}
