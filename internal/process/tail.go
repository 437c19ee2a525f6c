package process

import "sync"

const (
	tailLines    = 32
	tailLineSize = 1 << 10
)

// Tail keeps the last lines of a stream: 32 of at most 1 KiB each, and the beginning of the next. The zero value is
// empty and ready. It may be used by several goroutines.
type Tail struct {
	mu    sync.Mutex
	lines [][]byte // a ring once it is full; entries are reused
	next  int      // where the next line goes
	begun []byte   // of a line that has not ended: a prompt, say
}

// Add appends a line; what exceeds 1 KiB of it is forgotten.
func (t *Tail) Add(line []byte) {
	line = line[:min(len(line), tailLineSize)]
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = t.begun[:0]
	if len(t.lines) < tailLines {
		t.lines = append(t.lines, append([]byte(nil), line...))
		return
	}
	t.lines[t.next] = append(t.lines[t.next][:0], line...)
	t.next = (t.next + 1) % tailLines
}

// Begin says what there is of the line after the last, of which Add will tell the whole.
func (t *Tail) Begin(part []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun = append(t.begun[:0], part[:min(len(part), tailLineSize)]...)
}

// Lines returns a copy of what is kept, oldest first; nil if there is nothing.
func (t *Tail) Lines() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.lines)+len(t.begun) == 0 {
		return nil
	}
	all := make([]string, 0, len(t.lines)+1)
	for i := range t.lines {
		all = append(all, string(t.lines[(t.next+i)%len(t.lines)]))
	}
	if len(t.begun) > 0 {
		all = append(all, string(t.begun))
	}
	return all
}
