package process

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Status is how a child ended and what it said about it.
type Status struct {
	// Code is the exit code; -1 if a signal ended the child, or if that is unknown.
	Code int
	// Signal is the signal that ended the child, 0 if none did. A Go program turns a SIGSEGV into exit code 2
	// and a crash text.
	Signal syscall.Signal
	// CoreDumped says that the kernel wrote a core.
	CoreDumped bool
	// Unknown says that other code in this process reaped the child (a wait4(-1), or an ignored SIGCHLD), so
	// that Code and Signal are lost.
	Unknown bool
	// Killed says that we sent SIGKILL while the child lived.
	Killed bool
	// OutOfMemory is a hint: our memory limit was hit, the Go runtime said that it ran out, or the child got a
	// SIGKILL that was not ours while the kernel counted an out-of-memory kill.
	OutOfMemory bool
	// Crash is what the Go runtime wrote about a panic or fatal error, at most 256 KiB. Empty if there was none.
	Crash string
	// Stdout and Stderr are the last lines the child wrote there: 32 of at most 1 KiB each. How the two alternated is
	// not known.
	Stdout, Stderr []string
	// OutputDropped is how many lines Output was too slow to take.
	OutputDropped int64
	// Memory is what was measured of a child with a memory limit, else zero.
	Memory Memory
	// UserTime and SystemTime are the CPU time of the child and of what it waited for.
	UserTime, SystemTime time.Duration
	// MaxRSS is the peak resident set in bytes.
	MaxRSS int64
}

// Memory is the memory of a child with a limit, in bytes: resident without what is of files and shared, and swapped out.
type Memory struct {
	Limit    int64
	Resident int64 // when it was measured last, at most 100 ms before the end; 0 if it never was
	Peak     int64 // the most that was measured
}

// String says all three.
func (m Memory) String() string {
	return fmt.Sprintf("limit %s, resident %s, peak %s", mib(m.Limit), mib(m.Resident), mib(m.Peak))
}

func mib(n int64) string { return strconv.FormatFloat(float64(n)/(1<<20), 'f', 1, 64) + " MiB" }

// MemoryError says how much memory a child had that ran out of it. It is nil if the child did not, or had no limit.
func (s Status) MemoryError() error {
	if !s.OutOfMemory || s.Memory.Limit == 0 {
		return nil
	}
	return errors.New(s.Memory.String())
}

// Success reports whether the child ended by itself with exit code 0.
func (s Status) Success() bool { return !s.Unknown && s.Signal == 0 && s.Code == 0 }

// String says how the child ended, in a few words: "exit code 2", "signal: killed".
func (s Status) String() string {
	var b strings.Builder
	switch {
	case s.Unknown:
		b.WriteString("exit status lost (reaped by another part of the program)")
	case s.Signal != 0:
		fmt.Fprintf(&b, "signal: %v", s.Signal)
		if s.CoreDumped {
			b.WriteString(" (core dumped)")
		}
	default:
		fmt.Fprintf(&b, "exit code %d", s.Code)
	}
	if s.OutOfMemory {
		b.WriteString(" (out of memory)")
	}
	return b.String()
}

// looksOutOfMemory reports whether text is what the Go runtime says when the system refuses it memory
// (runtime/mem_linux.go, malloc.go: "out of memory", "cannot allocate memory").
func looksOutOfMemory(text string) bool {
	return strings.Contains(text, "runtime: out of memory") ||
		strings.Contains(text, "fatal error: out of memory") ||
		strings.Contains(text, "runtime: cannot allocate memory") ||
		strings.Contains(text, "fatal error: runtime: cannot allocate memory")
}

// diedInRuntime reports whether the crash is of the C library or the runtime itself, on a system stack and not in C code
// that the program called. That is how some allocations that are refused end: the thread that cannot be created (abort
// in runtime/cgo), the nil that is not looked at. The runtime's own words for it are in cgo/gcc_libinit.c
// ("pthread_create failed") and signal_unix.go ("signal arrived during cgo execution").
func diedInRuntime(crash string) bool {
	for _, signal := range []string{"SIGSEGV: ", "SIGABRT: ", "SIGBUS: "} {
		if strings.HasPrefix(crash, signal) {
			return strings.Contains(crash, "\ngoroutine 0 ") && !strings.Contains(crash, "signal arrived during cgo execution")
		}
	}
	return strings.Contains(crash, "pthread_create failed") || strings.Contains(crash, "failed to create new OS thread")
}
