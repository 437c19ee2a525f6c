package runtime

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/understudy-go/understudy/internal/process"
)

// crashLines keeps the lines of a crash dump out of the log: the record of the
// crash has them as its stack. From a line on that looks like the beginning of a
// dump, lines are held until the process has ended, or has shown that it lives.
type crashLines struct {
	deliver func(printed)

	mu    sync.Mutex
	held  []printed
	bytes int
	timer *time.Timer
}

// printed is a line that a process printed.
type printed struct {
	at     time.Time
	stream process.Stream
	text   string
	cut    bool
}

const (
	dumpTime  = 2 * time.Second // within which a process that dumps its stacks ends
	dumpBytes = 1 << 20         // of lines that are held at most
)

// dumpBegins are the beginnings of a Go crash dump: of a panic, a fatal error,
// and a signal that arrived in native code.
var dumpBegins = []string{"panic: ", "fatal error: ", "runtime: ", "unexpected fault address ", "SIGSEGV: ", "SIGBUS: ", "SIGFPE: ", "SIGILL: ",
	"SIGABRT: ", "SIGTRAP: ", "SIGSYS: ", "SIGQUIT: "}

func beginsDump(line string) bool {
	return slices.ContainsFunc(dumpBegins, func(b string) bool { return strings.HasPrefix(line, b) })
}

// line holds a line or delivers it.
func (c *crashLines) line(l printed) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if l.stream != process.Stderr || len(c.held) == 0 && !beginsDump(l.text) {
		c.deliver(l)
		return
	}
	if len(c.held) == 0 {
		c.timer = time.AfterFunc(dumpTime, func() { c.end("") })
	}
	c.held = append(c.held, l)
	if c.bytes += len(l.text); c.bytes > dumpBytes {
		c.release("")
	}
}

// end delivers what is held and is not in the crash text.
func (c *crashLines) end(crash string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.release(crash)
}

func (c *crashLines) release(crash string) {
	if c.timer != nil {
		c.timer.Stop()
	}
	in := make(map[string]bool)
	for line := range strings.Lines(crash) {
		in[strings.TrimRight(line, "\r\n")] = true
	}
	for _, l := range c.held {
		// The text has no line of the runtime about the exit itself, and is cut where it is long.
		if crash != "" && (in[l.text] || strings.HasPrefix(l.text, "goroutine ") || strings.HasPrefix(l.text, "\t") || strings.HasPrefix(l.text, "exit status ")) {
			continue
		}
		c.deliver(l)
	}
	c.held, c.bytes = nil, 0
}
