package shm

import (
	"sync"
	"sync/atomic"
	"unsafe"
)

// strict is on while released ranges must fault.
var strict atomic.Bool

// SetStrict turns the finding of stale slices on or off and returns what it was before. Tests want it on.
//
// While it is on, every handle has a mapping of its own, whose addresses are made inaccessible by its Release and not
// used again for a long time: touching a slice after that faults, even if others still hold the array. Also, the
// report of [Outstanding] says where arrays were made. It costs a mapping per received array and some address space.
// Arrays on the heap are not affected. Handles keep the way in which they were mapped.
func SetStrict(on bool) (previous bool) { return strict.Swap(on) }

// Strict reports whether stale slices are being found: see [SetStrict].
func Strict() bool { return strict.Load() }

// How much address space may be kept from being used again: there are 128 TiB of it, and 65530 mappings
// (vm.max_map_count), with which inaccessible neighbours melt together.
const (
	maxReservedRanges = 4 << 10
	maxReservedBytes  = 4 << 40
)

// graveyard has the ranges that strict mode keeps inaccessible, oldest first.
var graveyard struct {
	sync.Mutex
	ranges []memoryRange
	bytes  int64
}

type memoryRange struct {
	addr unsafe.Pointer
	size int64
}

// retire ends a mapping: the memory goes, and in strict mode the addresses stay, inaccessible.
func retire(addr unsafe.Pointer, size int64) {
	ledger.mapped.Add(-pageRound(size))
	if !strict.Load() || !fence(addr, size) {
		unmapMemory(addr, size)
		return
	}
	graveyard.Lock()
	defer graveyard.Unlock()
	graveyard.ranges = append(graveyard.ranges, memoryRange{addr, size})
	graveyard.bytes += pageRound(size)
	for len(graveyard.ranges) > maxReservedRanges || graveyard.bytes > maxReservedBytes {
		old := graveyard.ranges[0]
		graveyard.ranges = graveyard.ranges[1:]
		graveyard.bytes -= pageRound(old.size)
		unmapMemory(old.addr, old.size)
	}
	ledger.reserved.Store(graveyard.bytes)
}
