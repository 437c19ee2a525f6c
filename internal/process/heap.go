package process

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
)

// heapGuard is looked at after each collection.
type heapGuard struct {
	limit int64
	over  int                      // collections in a row that left more than limit alive
	end   func(alive, limit int64) // does not return
}

// collected takes what a collection left alive. One may be of a moment; two in a row mean that no further one helps.
func (g *heapGuard) collected(alive int64) {
	if alive <= g.limit {
		g.over = 0
		return
	}
	if g.over++; g.over == 2 {
		g.end(alive, g.limit)
	}
}

var watchingHeap atomic.Bool

// WatchHeap ends this process, which has a memory limit in bytes, when two collections in a row leave more than that
// alive: the collector, which works against the limit, could do nothing but run all the time. What it says then is what
// the Go runtime says when it runs out of memory, and so the parent tells it (Status.OutOfMemory). It is for a
// child that is this program; 0 is no limit. Only the first call counts.
func WatchHeap(limit int64) {
	if limit <= 0 || !watchingHeap.CompareAndSwap(false, true) {
		return
	}
	g := &heapGuard{limit: limit, end: func(alive, limit int64) {
		fmt.Fprintf(os.Stderr, "fatal error: out of memory: %d bytes are alive after two collections, the limit is %d\n", alive, limit)
		os.Exit(2)
	}}
	afterEachCollection(func() {
		live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
		metrics.Read(live)
		if live[0].Value.Kind() == metrics.KindUint64 {
			g.collected(int64(live[0].Value.Uint64()))
		}
	})
}

// afterEachCollection calls f once after each collection, one call at a time.
func afterEachCollection(f func()) {
	// An object that each collection finds dead. It is too large for the tiny allocator, which would keep it company.
	sentinel := &struct {
		p   *int
		pad [64]byte
	}{p: new(int)}
	runtime.AddCleanup(sentinel, func(f func()) {
		f()
		afterEachCollection(f)
	}, f)
}
