package process

import (
	"fmt"
	"os"
	"strconv"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// nextCPU spreads children with a CPU limit over the processors.
var nextCPU atomic.Uint32

// check finds limits that make no sense before anything is started.
func (l Limits) check(own bool) error {
	least := int64(leastForeign)
	if own {
		least = leastOwn
	}
	switch {
	case l.Memory < 0:
		return &LimitError{"memory", l.Memory, unix.EINVAL}
	case l.Memory > 0 && l.Memory < least:
		return &LimitError{"memory", l.Memory, fmt.Errorf("too small to start with, the least is %d bytes: %w", least, unix.EINVAL)}
	case l.Files < 0:
		return &LimitError{"files", int64(l.Files), unix.EINVAL}
	case l.CPUs < 0:
		return &LimitError{"cpus", int64(l.CPUs), unix.EINVAL}
	case l.Nice < -20 || l.Nice > 19:
		return &LimitError{"nice", int64(l.Nice), unix.EINVAL}
	}
	return nil
}

// narrowThread restricts the calling thread to l.CPUs processors, which a child forked from it inherits before its
// runtime counts them. restore undoes that.
func (l Limits) narrowThread() (restore func(), err error) {
	nothing := func() {}
	if l.CPUs == 0 {
		return nothing, nil
	}
	var allowed, chosen unix.CPUSet
	if err := unix.SchedGetaffinity(0, &allowed); err != nil {
		return nothing, &LimitError{"cpus", int64(l.CPUs), err}
	}
	count := allowed.Count()
	if l.CPUs >= count {
		return nothing, nil // an upper bound, and it holds
	}
	first := int(nextCPU.Add(uint32(l.CPUs))-uint32(l.CPUs)) % count
	chosen.Zero()
	index := 0
	for cpu := 0; index < count; cpu++ {
		if !allowed.IsSet(cpu) {
			continue
		}
		if (index-first+count)%count < l.CPUs {
			chosen.Set(cpu)
		}
		index++
	}
	if err := unix.SchedSetaffinity(0, &chosen); err != nil {
		return nothing, &LimitError{"cpus", int64(l.CPUs), err}
	}
	return func() { _ = unix.SchedSetaffinity(0, &allowed) }, nil
}

func (s *spawn) needsResourceLimits() bool { return s.limits.Files > 0 }

// applyLimits sets what is set from outside on the fresh child.
func (s *spawn) applyLimits() error {
	l := s.limits
	if l.Files > 0 {
		v := uint64(l.Files)
		if err := unix.Prlimit(s.pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: v, Max: v}, nil); err != nil {
			return &LimitError{"files", int64(l.Files), err}
		}
	}
	if l.Nice != 0 {
		// By group: the kernel then takes all threads the child may have by now, by process only the first.
		if err := unix.Setpriority(unix.PRIO_PGRP, s.pid, l.Nice); err != nil {
			return &LimitError{"nice", int64(l.Nice), err}
		}
		// Where the kernel groups sessions for fairness (sched(7), "The autogroup feature"), a nice value counts only
		// among the processes of a session, and the child has one of its own: the session's value counts among sessions.
		// It is not there everywhere, and refused when set too often; the child's own value stands in any case.
		_ = os.WriteFile("/proc/"+strconv.Itoa(s.pid)+"/autogroup", []byte(strconv.Itoa(l.Nice)), 0)
	}
	return nil
}

// goMemoryLimit is the soft limit for a Go child under a hard one of memory bytes: at 0.72 of it a program with half of
// the limit alive, which makes garbage as fast as it can, stays below but for moments.
func goMemoryLimit(memory int64) string { return strconv.FormatInt(memory/100*72, 10) }
