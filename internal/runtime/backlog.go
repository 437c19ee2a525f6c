package runtime

import (
	"errors"

	"github.com/understudy-go/understudy/actor"
)

// backlog is what waits for a reader that may stall: a log's sink, a reader of
// events, the parent's process. It is bounded in number and in bytes; beyond that
// the oldest goes, because the last words before a crash matter most, and is
// counted. Its owner locks it.
type backlog[T any] struct {
	items   []T
	sizes   []int
	bytes   int
	dropped int // since the reader was told
}

const (
	maxBacklog      = 8192
	maxBacklogBytes = 4 << 20
)

// put appends an item of so many bytes. One always fits.
func (b *backlog[T]) put(item T, size int) {
	for len(b.items) > 0 && (len(b.items) >= maxBacklog || b.bytes+size > maxBacklogBytes) {
		b.take()
		b.dropped++
	}
	b.items, b.sizes = append(b.items, item), append(b.sizes, size)
	b.bytes += size
}

// take returns the oldest item.
func (b *backlog[T]) take() (item T, ok bool) {
	if len(b.items) == 0 {
		return item, false
	}
	item, b.items[0] = b.items[0], item
	b.bytes -= b.sizes[0]
	b.items, b.sizes = b.items[1:], b.sizes[1:]
	return item, true
}

// told returns how many were dropped since it was last called.
func (b *backlog[T]) told() int {
	n := b.dropped
	b.dropped = 0
	return n
}

// eventSize is about how many bytes an event holds.
func eventSize(e actor.Event) int {
	n := 256 + len(e.Path) + len(e.Method) + len(e.Detail) + errorSize(e.Err)
	if e.Exit != nil {
		n += errorSize(e.Exit.Err)
		for _, line := range e.Exit.Stdout {
			n += len(line)
		}
		for _, line := range e.Exit.Stderr {
			n += len(line)
		}
	}
	return n
}

func errorSize(err error) int {
	if err == nil {
		return 0
	}
	n := len(err.Error())
	var p *actor.PanicError
	if errors.As(err, &p) {
		n += len(p.Stack)
	}
	return n
}
