package segment

import (
	"os"
	"sync/atomic"
	"unsafe"
)

// ForceHeap lets the tests put arrays on the heap where there are memfds.
var ForceHeap atomic.Bool

// onHeap reports whether arrays live on the heap: then they pass between actors in one process only, nothing keeps
// a frozen one from being written to, and released ones do not fault.
func onHeap() bool { return !memfds || ForceHeap.Load() }

// heapAlloc returns zeroed memory, aligned for every element type. The garbage collector takes it back.
func heapAlloc(size int64) unsafe.Pointer {
	return unsafe.Pointer(unsafe.SliceData(make([]complex128, (size+15)/16)))
}

var pageSize = int64(os.Getpagesize())

// pageRound returns the bytes that n bytes take in whole pages.
func pageRound(n int64) int64 { return (n + pageSize - 1) &^ (pageSize - 1) }
