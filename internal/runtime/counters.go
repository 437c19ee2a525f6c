package runtime

import (
	"cmp"
	"iter"
	"maps"
	"sync"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// counters count what happens in a system, for the whole life of the root. They
// are fed by each event as it is published, so that none is missed, and outlive
// the actors that they are about.
type counters struct {
	mu     sync.Mutex
	ends   map[endKey]uint64
	starts map[string]*Durations // by kind
	begun  map[string]time.Time  // starting since: by path
}

type endKey struct {
	series Series
	what   actor.EventType
	reason actor.Reason
}

// Series is whose events are counted together: see [actor.Event].
type Series struct{ Path, Kind string }

// maxSeries bounds how many series are kept. What comes later is counted under
// the path "other".
const maxSeries = 10_000

// spawnBounds are the upper bounds of the buckets of start times, in seconds.
var spawnBounds = [...]float64{.002, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// Durations is a histogram of times.
type Durations struct {
	Bounds []float64 // of the buckets, in seconds; one bucket more is above
	Counts []uint64  // by bucket
	Sum    float64   // seconds
}

func (d *Durations) add(t time.Duration) {
	s := t.Seconds()
	n := 0
	for n < len(d.Bounds) && s > d.Bounds[n] {
		n++
	}
	d.Counts[n]++
	d.Sum += s
}

func (c *counters) count(e actor.Event) {
	switch e.Type {
	case actor.EventStarting, actor.EventReady, actor.EventStartFailed, actor.EventExited, actor.EventRestarting, actor.EventGaveUp:
	default:
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends, c.starts, c.begun = make(map[endKey]uint64), make(map[string]*Durations), make(map[string]time.Time)
	}
	switch e.Type {
	case actor.EventStarting:
		if len(c.begun) < maxSeries {
			c.begun[e.Path] = e.Time
		}
		return
	case actor.EventReady:
		if at, ok := c.begun[e.Path]; ok {
			delete(c.begun, e.Path)
			c.started(e.Kind, e.Time.Sub(at))
		}
		return
	case actor.EventStartFailed, actor.EventExited: // also of a start that we cut
		delete(c.begun, e.Path)
	}
	k := endKey{series: Series{cmp.Or(e.Series, e.Path), e.Kind}, what: e.Type}
	if e.Exit != nil {
		k.reason = e.Exit.Reason
	} else if e.Err != nil {
		k.reason = actor.ReasonStartFailed
	}
	if _, known := c.ends[k]; !known && len(c.ends) >= maxSeries {
		k.series = Series{Path: "other"}
	}
	c.ends[k]++
}

func (c *counters) started(kind string, d time.Duration) {
	h := c.starts[kind]
	if h == nil {
		if len(c.starts) >= maxSeries {
			return
		}
		h = &Durations{Bounds: spawnBounds[:], Counts: make([]uint64, len(spawnBounds)+1)}
		c.starts[kind] = h
	}
	h.add(d)
}

// Count is how often something happened.
type Count struct {
	Series
	Reason actor.Reason
	N      uint64
}

// Counted yields, in no order, how often events of a type happened, by reason: of
// the types exited, start failed, restarting and gave up.
func (s *System) Counted(what actor.EventType) iter.Seq[Count] {
	c := &s.counters
	c.mu.Lock()
	ends := maps.Clone(c.ends)
	c.mu.Unlock()
	return func(yield func(Count) bool) {
		for k, n := range ends {
			if k.what == what && !yield(Count{k.series, k.reason, n}) {
				return
			}
		}
	}
}

// Starts returns how long actors took to become ready, by kind.
func (s *System) Starts() map[string]Durations {
	c := &s.counters
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[string]Durations, len(c.starts))
	for kind, d := range c.starts {
		n := *d
		n.Counts = append([]uint64(nil), d.Counts...)
		all[kind] = n
	}
	return all
}

// CountOf returns how many events of a type there were, here and below.
func (s *System) CountOf(t actor.EventType) uint64 { return s.events.count(t) }
