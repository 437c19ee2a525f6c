package segment

import (
	"cmp"
	"slices"
)

// Totals sums up the table. Package shm publishes it as Statistics, where the fields are explained.
type Totals struct {
	Segments int
	Handles  int
	Bytes    int64
	Charged  int64
	Mapped   int64
	Reserved int64
}

// Stats returns the totals of this process.
func Stats() Totals {
	table.mu.Lock()
	defer table.mu.Unlock()
	handles := 0
	for _, s := range table.byID {
		handles += int(s.refs.Load() >> 32)
	}
	return Totals{
		Segments: len(table.byID),
		Handles:  handles,
		Bytes:    table.bytes,
		Charged:  table.charged,
		Mapped:   table.mapped.Load(),
		Reserved: table.reserved.Load(),
	}
}

// SetBudget bounds the memory of the segments that this process makes, in bytes; 0 means no bound. It returns the
// bound before.
func SetBudget(bytes int64) (previous int64) {
	table.mu.Lock()
	defer table.mu.Unlock()
	previous, table.budget = table.budget, max(0, bytes)
	return previous
}

// An Entry describes one segment of the table. Package shm publishes it as Holding, where the fields are explained.
type Entry struct {
	Segment uint64
	Shared  bool
	Size    int64
	Handles int
	Retains int
	Sites   []string
}

// Outstanding returns an entry for each segment of the table, oldest first.
func Outstanding() []Entry {
	table.mu.Lock()
	list := make([]Entry, 0, len(table.byID))
	sites := make([][][]uintptr, 0, len(table.byID))
	for _, s := range table.byID {
		refs := s.refs.Load()
		handles := int(refs >> 32)
		list = append(list, Entry{Segment: s.id, Shared: s.mode == Shared, Size: s.size,
			Handles: handles, Retains: int(uint32(refs)) - handles})
		var at [][]uintptr
		for h := range s.handles {
			at = append(at, *h.site)
		}
		sites = append(sites, at)
	}
	table.mu.Unlock()
	for i := range list { // reading symbols takes long; not under the lock
		for _, at := range sites[i] {
			list[i].Sites = append(list[i].Sites, siteText(at))
		}
		slices.Sort(list[i].Sites)
	}
	slices.SortFunc(list, func(a, b Entry) int { return cmp.Compare(a.Segment, b.Segment) })
	return list
}
