package actor_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/supervisor"
)

// The behaviour suite: what the library promises to those who write actors and
// to those who send to them, one case for all modes: processes whose messages go by
// socket, processes whose messages go by ring, goroutines. Its tests wait for
// events, lines in a diary and gates, never for time to pass.

func TestMain(m *testing.M) {
	if os.Getenv(foreignPeer) != "" {
		foreignMain() // does not return
	}
	actor.TestMain(m)
}

// patience bounds a test that hangs.
const patience = 30 * time.Second

// bed is what one case of the suite runs in.
type bed struct {
	*testing.T
	ctx       context.Context
	process   bool // actors are processes
	transport string
	tree      *supervisor.Tree
	diary     *diary
	fields    supervisor.Child // defaults of the children
	events    *eventLog
}

// transports are the ways by which messages travel between processes. Rings are there
// from a connection's beginning: a case has few messages, and they are to carry them.
var transports = []struct {
	name      string
	transport string
}{{"socket", "socket"}, {"ring", "ring"}}

// everywhere runs a case with processes, over each transport, and with goroutines.
func everywhere(t *testing.T, test func(b *bed)) {
	inProcesses(t, test)
	t.Run("in-process", func(t *testing.T) { test(newBed(t, false, "auto")) })
}

// inProcesses runs a case that a goroutine cannot do.
func inProcesses(t *testing.T, test func(b *bed)) {
	for _, l := range transports {
		t.Run("process/"+l.name, func(t *testing.T) {
			if goruntime.GOOS != "linux" {
				t.Skip("process mode needs Linux")
			}
			test(newBed(t, true, l.transport))
		})
	}
}

func newBed(t *testing.T, process bool, transport string) *bed {
	leaktest.Check(t)
	// A call that its ctx does not end would last until the suite's time is up,
	// and nobody would know which.
	hangs := time.AfterFunc(2*patience, func() {
		panic(t.Name() + " hangs: something has not returned although its ctx ended long ago")
	})
	t.Cleanup(func() { hangs.Stop() })
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	b := &bed{T: t, ctx: ctx, process: process, transport: transport}
	if !process {
		b.fields = supervisor.Child{InProcess: true}
	}
	b.diary = newDiary(b)
	return b
}

// start starts the children under one supervisor that puts up with a lot. It
// is stopped, and everything checked for leaks, when the test ends.
func (b *bed) start(children ...supervisor.Child) {
	b.Helper()
	b.startSpec(supervisor.Spec{Children: children}, supervisor.Options{})
}

func (b *bed) startSpec(spec supervisor.Spec, o supervisor.Options) {
	b.Helper()
	spec.Intensity, spec.Defaults, o.Transport = 1000, b.fields, b.transport
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	tree, err := supervisor.Start(b.ctx, spec, o)
	b.must(err)
	b.tree = tree
	b.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := tree.Stop(ctx); err != nil {
			b.Error(err)
		}
		b.events.none(actor.EventSocketOnly)
	})
	b.events = newEventLog(b)
}

// puppet starts a puppet and returns its reference.
func (b *bed) puppet(fields ...supervisor.Child) actor.Ref[puppet] {
	b.Helper()
	var c supervisor.Child
	if len(fields) > 0 {
		c = fields[0]
	}
	c.Name, c.Run = "p", Puppets.With(b.stage())
	b.start(c)
	return b.ref("p")
}

func (b *bed) stage() stage { return stage{Diary: b.diary.path, Test: os.Getpid()} }

func (b *bed) ref(id string) actor.Ref[puppet] {
	b.Helper()
	r, err := Puppets.Lookup(b.tree, id)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

func (b *bed) pid(id string) int {
	for info := range b.tree.Children() {
		if info.Name == id {
			return info.PID
		}
	}
	return 0
}

// halt stops an actor's process as ^Z does, and waits until none of its threads
// runs: a signal takes a moment to reach them all.
func (b *bed) halt(id string) {
	b.Helper()
	pid := b.pid(id)
	b.must(syscall.Kill(pid, syscall.SIGSTOP))
	for running := true; running; b.must(b.ctx.Err()) {
		running = false
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		b.must(err)
		for _, path := range threads {
			stat, err := os.ReadFile(path) // "pid (name) state ...": the name may have anything in it
			state := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
			running = running || err == nil && !strings.HasPrefix(state, " T")
		}
	}
}

// check fails the test unless the call ended as wanted. Use: check[T](b, want)(m.Call(...)).
func check[T comparable](b *bed, want T) func(T, error) {
	b.Helper()
	return func(got T, err error) {
		b.Helper()
		if err != nil || got != want {
			b.Fatalf("got %v, %v; want %v", got, err, want)
		}
	}
}

func (b *bed) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// ends waits for what must come by itself, and soon. It fails the test in words
// when it does not, long before the test's own time is up.
func (b *bed) ends(done <-chan struct{}, what string) {
	b.Helper()
	const soon = 10 * time.Second
	t := time.NewTimer(soon)
	defer t.Stop()
	select {
	case <-done:
	case <-t.C:
		b.Fatalf("%s has not ended after %v, and nothing else will end it", what, soon)
	}
}

// is fails the test unless err wraps all of the targets.
func (b *bed) is(err error, targets ...error) {
	b.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			b.Fatalf("error %v is not %v", err, target)
		}
	}
}

// gone fails the test unless err says that the actor will not come back.
func (b *bed) gone(err error) {
	b.Helper()
	if !errors.Is(err, actor.ErrStopped) && !errors.Is(err, actor.ErrNotRunning) {
		b.Fatalf("error %v is neither ErrStopped nor ErrNotRunning", err)
	}
}

// exit fails the test unless err is the end of an actor.
func (b *bed) exit(err error) *actor.ExitError {
	b.Helper()
	x, ok := exitOf(err)
	if !ok {
		b.Fatalf("error %v is no ExitError", err)
	}
	return x
}

// diary is where actors write what they do: a fifo, so that a line survives
// its writer's death in the next moment, and the test can wait for one.
type diary struct {
	b     *bed
	path  string
	lines chan string
}

func newDiary(b *bed) *diary {
	d := &diary{b: b, path: filepath.Join(b.TempDir(), "diary"), lines: make(chan string, 1<<16)}
	f := fifo(b, d.path)
	done := make(chan struct{})
	go func() {
		defer close(done)
		in := bufio.NewScanner(f)
		for in.Scan() {
			d.lines <- in.Text()
		}
	}()
	b.Cleanup(func() { f.Close(); <-done })
	return d
}

func fifo(b *bed, path string) *os.File {
	b.Helper()
	b.must(syscall.Mkfifo(path, 0o600))
	f, err := os.OpenFile(path, os.O_RDWR, 0) // both ends: it never is at its end
	b.must(err)
	return f
}

// next waits for the next line.
func (d *diary) next() string {
	d.b.Helper()
	select {
	case line := <-d.lines:
		return line
	case <-d.b.ctx.Done():
		d.b.Fatal("no further line in the diary")
		return ""
	}
}

// expect fails the test unless these are the next lines.
func (d *diary) expect(lines ...string) {
	d.b.Helper()
	for _, want := range lines {
		if got := d.next(); got != want {
			d.b.Fatalf("the diary says %q, want %q", got, want)
		}
	}
}

// nothing fails the test if there is a line that was not read.
func (d *diary) nothing() {
	d.b.Helper()
	select {
	case line := <-d.lines:
		d.b.Fatalf("the diary says %q, want nothing", line)
	default:
	}
}

// gate keeps handlers waiting until it is opened, at the latest by the test's
// end: again a fifo, which opens for reading as soon as there is a writer.
type gate struct {
	path string
	once sync.Once
	b    *bed
}

func (b *bed) gate() *gate {
	b.Helper()
	g := &gate{b: b, path: filepath.Join(b.TempDir(), "gate")}
	b.must(syscall.Mkfifo(g.path, 0o600))
	b.Cleanup(g.open)
	return g
}

func (g *gate) open() {
	g.once.Do(func() {
		f, err := os.OpenFile(g.path, os.O_RDWR, 0)
		if err != nil {
			g.b.Error(err)
			return
		}
		g.b.Cleanup(func() { f.Close() })
	})
}

// pass waits at a gate.
func pass(path string) {
	if path != "" {
		if f, err := os.Open(path); err == nil {
			f.Close()
		}
	}
}

// eventLog keeps the events of a system until the test asks for them.
type eventLog struct {
	b       *bed
	mu      sync.Mutex
	list    []actor.Event
	changed chan struct{}
}

func newEventLog(b *bed) *eventLog {
	l := &eventLog{b: b, changed: make(chan struct{})}
	events := b.tree.Events(b.ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e := range events {
			l.mu.Lock()
			l.list = append(l.list, e)
			close(l.changed)
			l.changed = make(chan struct{})
			l.mu.Unlock()
		}
	}()
	return l
}

// wait waits for an event of the type and path, whenever it came, and takes it
// off the list.
func (l *eventLog) wait(what actor.EventType, path string) actor.Event {
	l.b.Helper()
	for {
		l.mu.Lock()
		for i, e := range l.list {
			if e.Type == what && e.Path == path {
				l.list = append(l.list[:i], l.list[i+1:]...)
				l.mu.Unlock()
				return e
			}
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-l.b.ctx.Done():
			l.b.Fatalf("no event %q of %s; there were: %s", what, path, l)
		}
	}
}

// none fails the test if there was such an event that nobody asked for.
func (l *eventLog) none(what actor.EventType) {
	l.b.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.list {
		if e.Type == what {
			l.b.Fatalf("event %q of %s: %v %s", what, e.Path, e.Err, e.Method)
		}
	}
}

// has reports whether there was such an event.
func (l *eventLog) has(what actor.EventType, path string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.ContainsFunc(l.list, func(e actor.Event) bool { return e.Type == what && e.Path == path })
}

func (l *eventLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var s []string
	for _, e := range l.list {
		s = append(s, fmt.Sprintf("%s of %s (%v)", e.Type, e.Path, e.Err))
	}
	return strings.Join(s, ", ")
}

// list is what the supervisor knows of its children.
func (b *bed) list() []supervisor.ChildInfo { return slices.Collect(b.tree.Children()) }

func containsAll(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}

// exitOf returns the end of an actor that err is about, if it is.
func exitOf(err error) (x *actor.ExitError, ok bool) {
	ok = errors.As(err, &x)
	return x, ok
}

func system(s actor.Scope) *runtime.System { return runtime.SystemOf(s) }
