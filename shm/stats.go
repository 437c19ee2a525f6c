package shm

import (
	"fmt"
	"strings"

	"github.com/understudy-go/understudy/internal/segment"
)

// Statistics is what a process has of arrays at one moment.
type Statistics struct {
	Segments int   // pieces of memory, each with one open descriptor
	Handles  int   // unreleased arrays, copies and views not counted
	Bytes    int64 // sum of the segments' sizes
	Charged  int64 // bytes counted against the budget: what this process made and has not let go, in whole pages
	Mapped   int64 // bytes mapped into the address space
	Reserved int64 // bytes of address space, without memory, that strict mode keeps from being used again
}

// Stats returns what this process has. With every array released and no message under way it is all zero, but for
// Reserved.
func Stats() Statistics { return Statistics(segment.Stats()) }

// SetBudget bounds the memory of the arrays that this process makes and has not let go, in bytes; 0 means no bound,
// which is the default. New arrays beyond it fail with ErrBudget; existing arrays stay. It returns the bound before.
func SetBudget(bytes int64) (previous int64) { return segment.SetBudget(bytes) }

// A Holding is a piece of memory that this process has not let go.
type Holding struct {
	Segment uint64   // its number in this process
	Shared  bool     // made by NewShared
	Size    int64    // in bytes
	Handles int      // unreleased arrays
	Retains int      // references of messages under way and of connections
	Sites   []string // in strict mode: where each of the arrays was made or received
}

// String is one line and, in strict mode, one more for each site.
func (h Holding) String() string {
	mode := segment.Frozen
	if h.Shared {
		mode = segment.Shared
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%v segment %d of %s: %d arrays not released, %d references of messages and connections",
		mode, h.Segment, segment.FormatBytes(h.Size), h.Handles, h.Retains)
	for _, s := range h.Sites {
		b.WriteString("\n\t" + s)
	}
	return b.String()
}

// Outstanding is the leak report: all memory that this process has not let go, oldest first. No finalizer releases
// forgotten arrays, because a slice can live longer than its handle.
func Outstanding() []Holding {
	entries := segment.Outstanding()
	list := make([]Holding, len(entries))
	for i, e := range entries {
		list[i] = Holding(e)
	}
	return list
}

// SetStrict turns the finding of stale slices on or off and returns what it was before. Tests want it on.
//
// While it is on, every handle has a mapping of its own, whose addresses Release makes inaccessible and keeps from being
// used again for a long time: touching a slice after that faults, even if the memory has other handles. Also, the
// report of [Outstanding] says where arrays were made. It costs a mapping per received array and some address space.
// Arrays on the heap are not affected. Handles keep the way in which they were mapped.
func SetStrict(on bool) (previous bool) { return segment.SetStrict(on) }

// Strict reports whether stale slices are being found: see [SetStrict].
func Strict() bool { return segment.Strict() }
