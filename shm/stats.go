package shm

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// Statistics is what a process holds at one moment.
type Statistics struct {
	Segments int   // pieces of memory, each with one open descriptor
	Handles  int   // unreleased arrays, copies and views not counted
	Bytes    int64 // sum of the segments' sizes
	Charged  int64 // bytes counted against the budget: what this process made and still holds, in whole pages
	Mapped   int64 // bytes mapped into the address space
	Reserved int64 // bytes of address space, without memory, that strict mode keeps from being used again
}

// Stats returns what this process holds. With every array released and no message under way it is all zero, but for
// Reserved.
func Stats() Statistics {
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	handles := 0
	for _, s := range ledger.byID {
		handles += int(s.holds.Load() >> 32)
	}
	return Statistics{
		Segments: len(ledger.byID),
		Handles:  handles,
		Bytes:    ledger.bytes,
		Charged:  ledger.charged,
		Mapped:   ledger.mapped.Load(),
		Reserved: ledger.reserved.Load(),
	}
}

// SetBudget bounds the memory of the arrays that this process makes and has not let go, in bytes; 0 means no bound,
// which is the default. New arrays beyond it fail with ErrBudget; those there are stay. It returns the bound before.
func SetBudget(bytes int64) (previous int64) {
	ledger.mu.Lock()
	defer ledger.mu.Unlock()
	previous, ledger.budget = ledger.budget, max(0, bytes)
	return previous
}

// A Holding is a segment that somebody still holds.
type Holding struct {
	Segment uint64
	Mode    Mode
	Size    int64
	Handles int      // unreleased arrays
	Retains int      // holds of messages under way and of links
	Sites   []string // in strict mode: where each of the arrays was made or received
}

// String is one line and, in strict mode, one more for each site.
func (h Holding) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%v segment %d of %s: %d arrays not released, %d holds of messages and links",
		h.Mode, h.Segment, bytesText(h.Size), h.Handles, h.Retains)
	for _, s := range h.Sites {
		b.WriteString("\n\t" + s)
	}
	return b.String()
}

// Outstanding is the leak report: every segment that is held, oldest first. There is no finalizer that would release
// forgotten arrays, because a slice can live longer than its handle.
func Outstanding() []Holding {
	ledger.mu.Lock()
	list := make([]Holding, 0, len(ledger.byID))
	sites := make([][][]uintptr, 0, len(ledger.byID))
	for _, s := range ledger.byID {
		holds := s.holds.Load()
		handles := int(holds >> 32)
		list = append(list, Holding{Segment: s.id, Mode: s.mode, Size: s.size, Handles: handles, Retains: int(uint32(holds)) - handles})
		var at [][]uintptr
		for h := range s.holders {
			at = append(at, *h.site)
		}
		sites = append(sites, at)
	}
	ledger.mu.Unlock()
	for i := range list { // reading symbols takes long; not under the lock
		for _, at := range sites[i] {
			list[i].Sites = append(list[i].Sites, siteText(at))
		}
		slices.Sort(list[i].Sites)
	}
	slices.SortFunc(list, func(a, b Holding) int { return cmp.Compare(a.Segment, b.Segment) })
	return list
}

// callSite returns the stack of a handle's birth in strict mode, else nil.
func callSite() *[]uintptr {
	if !strict.Load() {
		return nil
	}
	pcs := make([]uintptr, 24)
	pcs = pcs[:runtime.Callers(3, pcs)]
	return &pcs
}

// siteText writes the innermost frames that are neither this package's own nor those of decoding.
func siteText(pcs []uintptr) string {
	var at []string
	frames := runtime.CallersFrames(pcs)
	for more := len(pcs) > 0; more && len(at) < 4; {
		var f runtime.Frame
		f, more = frames.Next()
		if strings.Contains(f.Function, "/shm.New") || strings.Contains(f.Function, "/shm.create") ||
			strings.Contains(f.Function, "/shm.(*Array") || strings.Contains(f.Function, "/shm.ReadReference") || strings.Contains(f.Function, "vmihailenco/msgpack") ||
			strings.HasPrefix(f.Function, "reflect.") {
			continue
		}
		at = append(at, fmt.Sprintf("%s (%s:%d)", f.Function, f.File, f.Line))
	}
	return strings.Join(at, " < ")
}
