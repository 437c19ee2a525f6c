package transport

import (
	"math"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A goroutine that sleeps on a futex blocks its thread in the kernel: the
// kernel wakes exactly that thread, and the Go runtime has no part in it. The
// calls are made by Syscall6, which tells the runtime, so that others get the
// goroutine's P and neither the garbage collector nor a call to all threads
// waits for it.

const (
	futexWakeOp  = 1
	futexPrivate = 128 // for FUTEX_WAKE, and for a word of FUTEX_WAITV
	futex32      = 2   // the word has 32 bits

	// maxFutexes is how many words one call waits for (FUTEX_WAITV_MAX).
	maxFutexes = 128
)

// A futexWait is one word of a wait: struct futex_waitv.
type futexWait struct {
	value uint64
	addr  uint64
	flags uint32
	_     uint32
}

// waitForPrivate is a wait for a word of this process to differ from value.
func waitForPrivate(word *atomic.Uint32, value uint32) futexWait {
	return futexWait{value: uint64(value), addr: uint64(uintptr(unsafe.Pointer(word))), flags: futex32 | futexPrivate}
}

// waitForShared is a wait for the low half of a word of shared memory, which
// this process need not be able to write, to differ from that of value.
func waitForShared(word *uint64, value uint64) futexWait {
	return futexWait{value: uint64(uint32(value)), addr: uint64(uintptr(unsafe.Pointer(lowHalf(word)))), flags: futex32}
}

// lowHalf is the half of a word in which small changes show.
func lowHalf(word *uint64) *uint32 {
	probe := uint64(1)
	half := (*[2]uint32)(unsafe.Pointer(word))
	if (*[2]uint32)(unsafe.Pointer(&probe))[0] == 1 {
		return &half[0]
	}
	return &half[1]
}

// futexSleep blocks until one of the words is woken or differs, or a signal
// arrives. It is false if it cannot. It has no time limit: to set one for each
// sleep would cost a quarter of what the sleep does.
func futexSleep(words []futexWait) bool {
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(unsafe.SliceData(words))), uintptr(len(words)), 0,
		0, unix.CLOCK_MONOTONIC, 0)
	return errno == 0 || errno == unix.EAGAIN || errno == unix.EINTR
}

// futexWakePrivate wakes who sleeps on a word of this process.
func futexWakePrivate(word *atomic.Uint32) {
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWakeOp|futexPrivate, math.MaxInt32, 0, 0, 0)
}

// futexWakeShared wakes who sleeps on a word of shared memory, in whatever
// process, and reports whether there was one.
func futexWakeShared(word *uint64) bool {
	n, _, errno := unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(lowHalf(word))), futexWakeOp, math.MaxInt32, 0, 0, 0)
	return errno == 0 && n > 0
}

// hasFutexes reports whether the kernel can wait for several words: since
// Linux 5.16, unless a filter forbids it.
var hasFutexes = sync.OnceValue(func() bool {
	var word atomic.Uint32
	w := [1]futexWait{waitForPrivate(&word, 1)} // which differs already
	_, _, errno := unix.Syscall6(unix.SYS_FUTEX_WAITV, uintptr(unsafe.Pointer(&w[0])), 1, 0, 0, unix.CLOCK_MONOTONIC, 0)
	return errno == unix.EAGAIN
})
