package segment

import (
	"runtime"
	"runtime/debug"
	"testing"
	"unsafe"
)

// faults reports whether fn touches memory that it may not, and at which address.
func faults(fn func()) (addr uintptr, faulted bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			fault, ok := r.(interface {
				runtime.Error
				Addr() uintptr
			})
			if !ok {
				panic(r)
			}
			addr, faulted = fault.Addr(), true
		}
	}()
	fn()
	return 0, false
}

// Strict mode keeps a bounded number of ranges, and gives the oldest back first.
func TestReservedRangesAreBounded(t *testing.T) {
	noLeaks(t)
	setStrict(t, true)
	var first, last unsafe.Pointer
	for i := range maxReservedRanges + 1 {
		a := must(newArray[uint8](1))
		last = unsafe.Pointer(unsafe.SliceData(a.data()))
		if i == 0 {
			first = last
		}
		a.release()
	}
	reserved.Lock()
	defer reserved.Unlock()
	if n := len(reserved.ranges); n != maxReservedRanges {
		t.Errorf("%d ranges kept, want %d", n, maxReservedRanges)
	}
	var sum int64
	found := map[unsafe.Pointer]bool{}
	for _, r := range reserved.ranges {
		sum += pageRound(r.size)
		found[r.addr] = true
	}
	if sum != reserved.bytes || sum != table.reserved.Load() {
		t.Errorf("%d bytes kept, reserved.bytes and the table say %d and %d", sum, reserved.bytes, table.reserved.Load())
	}
	if found[first] || !found[last] {
		t.Error("others than the oldest were given back")
	}
}
