package segment

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"
)

// strict is on while released ranges must fault.
var strict atomic.Bool

// SetStrict turns strict mode on or off and returns what it was before. While it is on, every handle has a mapping of
// its own, whose addresses Release makes inaccessible, and remembers its call site.
func SetStrict(on bool) (previous bool) { return strict.Swap(on) }

// Strict reports whether strict mode is on.
func Strict() bool { return strict.Load() }

// How much address space strict mode may keep from being used again: there are 128 TiB of it, and 65530 mappings
// (vm.max_map_count), of which inaccessible neighbours become one.
const (
	maxReservedRanges = 4 << 10
	maxReservedBytes  = 4 << 40
)

// reserved has the ranges that strict mode keeps inaccessible, oldest first.
var reserved struct {
	sync.Mutex
	ranges []memoryRange
	bytes  int64
}

type memoryRange struct {
	addr unsafe.Pointer
	size int64
}

// endMapping gives back the memory of a mapping. In strict mode the addresses stay reserved, inaccessible.
func endMapping(addr unsafe.Pointer, size int64) {
	table.mapped.Add(-pageRound(size))
	if !strict.Load() || !fence(addr, size) {
		unmapMemory(addr, size)
		return
	}
	reserved.Lock()
	defer reserved.Unlock()
	reserved.ranges = append(reserved.ranges, memoryRange{addr, size})
	reserved.bytes += pageRound(size)
	for len(reserved.ranges) > maxReservedRanges || reserved.bytes > maxReservedBytes {
		old := reserved.ranges[0]
		reserved.ranges = reserved.ranges[1:]
		reserved.bytes -= pageRound(old.size)
		unmapMemory(old.addr, old.size)
	}
	table.reserved.Store(reserved.bytes)
}

// callSite returns the stack that makes a handle, in strict mode, else nil.
func callSite() *[]uintptr {
	if !strict.Load() {
		return nil
	}
	pcs := make([]uintptr, 24)
	pcs = pcs[:runtime.Callers(3, pcs)]
	return &pcs
}

// siteText writes the innermost frames, without those of this package, of package shm's making and of decoding.
func siteText(pcs []uintptr) string {
	var at []string
	frames := runtime.CallersFrames(pcs)
	for more := len(pcs) > 0; more && len(at) < 4; {
		var f runtime.Frame
		f, more = frames.Next()
		if strings.Contains(f.Function, "/internal/segment.") ||
			strings.Contains(f.Function, "/shm.New") || strings.Contains(f.Function, "/shm.create") ||
			strings.Contains(f.Function, "/shm.(*Array") || strings.Contains(f.Function, "vmihailenco/msgpack") ||
			strings.HasPrefix(f.Function, "reflect.") {
			continue
		}
		at = append(at, fmt.Sprintf("%s (%s:%d)", f.Function, f.File, f.Line))
	}
	return strings.Join(at, " < ")
}
