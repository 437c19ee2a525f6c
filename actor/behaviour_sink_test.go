package actor_test

import (
	"context"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// sink is a logger's handler that stalls until it is opened, and keeps what it
// takes. It notes each stack that reads a connection or an actor's output.
type sink struct {
	open chan struct{}

	mu     sync.Mutex
	text   []string
	reader string
}

func (k *sink) stall() {
	if at := readsFor(); at != "" {
		k.mu.Lock()
		k.reader = at
		k.mu.Unlock()
	}
	<-k.open
}

// readsFor returns the function on the caller's stack that reads for others.
func readsFor() string {
	var pcs [64]uintptr
	frames := goruntime.CallersFrames(pcs[:goruntime.Callers(1, pcs[:])])
	for {
		f, more := frames.Next()
		for _, p := range []string{"/internal/conn.", "/internal/process.", "/transport.", "/supervisor.(*Tree).run"} {
			if strings.Contains(f.Function, p) {
				return f.Function
			}
		}
		if !more {
			return ""
		}
	}
}

func (k *sink) Enabled(context.Context, slog.Level) bool { return true }
func (k *sink) WithAttrs([]slog.Attr) slog.Handler       { return k }
func (k *sink) WithGroup(string) slog.Handler            { return k }

func (k *sink) Handle(_ context.Context, r slog.Record) error {
	k.stall()
	k.mu.Lock()
	defer k.mu.Unlock()
	line := r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	k.text = append(k.text, line)
	return nil
}

// A logger that stalls stalls nothing else: calls that log return, an actor shows
// signs of life, one that crashed is restarted, lines are read. When it goes on,
// the newest records are there, and the number of the others.
func TestStalledLogger(t *testing.T) {
	everywhere(t, func(b *bed) {
		k := &sink{open: make(chan struct{})}
		b.startSpec(supervisor.Spec{Children: []supervisor.Child{
			{Name: "c", Run: Chroniclers.With(actor.None{}), Watchdog: 200 * time.Millisecond},
			{Name: "p", Run: Puppets.With(b.stage())},
		}}, supervisor.Options{Logger: slog.New(k)})
		var once sync.Once
		open := func() { once.Do(func() { close(k.open) }) }
		b.Cleanup(open)
		c, err := Chroniclers.Lookup(b.tree, "c")
		b.must(err)
		const calls = 2000 // of several records each
		for range calls {
			if _, err := ChronicleAll.Call(b.ctx, c, actor.None{}); err != nil {
				b.Fatal(err)
			}
		}
		_, err = PuppetAct.Call(b.ctx, b.ref("p"), act{Then: "panic"})
		b.exit(err)
		check[int](b, 1)(PuppetAdd.Call(b.ctx, b.ref("p"), 1))
		if b.events.has(actor.EventExited, "/c") {
			b.Fatalf("%s", b.events)
		}
		open()
		b.must(b.tree.Stop(b.ctx))
		k.mu.Lock()
		defer k.mu.Unlock()
		written, dropped := 0, 0
		for _, line := range k.text {
			n := 0
			if _, err := fmt.Sscanf(line, "log records were dropped: they came faster than they were read dropped=%d", &n); err == nil {
				dropped += n
			}
			if strings.Contains(line, "between two levels") {
				written++
			}
		}
		if dropped == 0 || written == 0 || written > calls {
			b.Errorf("%d records dropped, %d kept of one kind", dropped, written)
		}
		if last := k.text[len(k.text)-1]; !strings.Contains(strings.Join(k.text[len(k.text)-10:], "\n"), "actor exited") {
			b.Errorf("the last record is %q", last)
		}
		if k.reader != "" {
			b.Errorf("the logger ran in %s", k.reader)
		}
	})
}
