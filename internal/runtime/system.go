package runtime

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/wire"
)

// System is the part of a system that lives in this process: who is supervised
// here, the connections from here to other actors, and the events. The root process
// makes it; each actor's process has its own part, below its parent's.
type System struct {
	id       string
	opts     SystemOptions
	parent   *conn.Conn // nil in the root
	program  string     // for titles
	self     *host      // the actor of this process; nil in the root
	ctx      context.Context
	cancel   context.CancelCauseFunc
	work     sync.WaitGroup
	events   broker
	crashes  crashes
	counters counters // the root's
	cleanup  cleanup
	sends    atomic.Int64
	names    atomic.Uint64 // of generated names
	poolIDs  atomic.Uint32 // of messages to pools
	targets  targets
	told     toldExits

	stopping     chan struct{} // closed when the whole of it begins to stop
	stoppingOnce sync.Once

	unsettled atomic.Int64 // when the parent last did not take grave records in time, in ns of the Unix epoch

	staying context.Context // ends when this process begins to leave, or the system ends
	unstay  context.CancelFunc
	leaving atomic.Bool // see seeOff

	sink    sink   // of the root
	upward  upward // of all others
	repeats repeats

	mu      sync.Mutex
	entries map[string]*entry
	causes  map[string]error               // why the supervisor at a path has ended
	inside  map[string]map[string]struct{} // paths one element below a path that have an entry, or have some below
	gone    []string                       // paths whose entry is kept for a while after their end
	senders map[*sender]struct{}           // those that have a connection, or something to send: see retain
	closed  bool
	done    chan struct{}
}

// SystemOptions are the options of a whole system. The zero value is useful.
type SystemOptions struct {
	// Logger takes the records of the system, its actors' slog records, and
	// their standard output and error, each with path and pid. nil: slog.Default.
	Logger *slog.Logger
	// MaxMessage is the size in bytes of the largest message. 0: 256 MiB.
	MaxMessage int
	// Inline is the size in bytes up to which a message travels in the stream;
	// larger ones travel in memory of their own. 0: 4 MiB.
	Inline int
	// Transport says by what messages travel between processes.
	Transport Transport
	// Spin is how long at most a reader looks for the next message before it
	// sleeps: while it does, a core is busy, and a message needs no system call.
	// It looks for less where that has not paid, and not at all on one CPU or
	// when there is more work than CPUs. 0: 100 µs; negative: it sleeps
	// at once.
	Spin time.Duration
	// Cgroups says whether the actors' processes get control groups. The
	// default is: where that is delegated to this program.
	Cgroups Cgroups
}

// NewSystem returns the root of a new system. Its maker closes it. If
// opts requires control groups and none are available, the error is an
// [ErrNoCgroup].
func NewSystem(opts SystemOptions) (*System, error) {
	if _, isActor := os.LookupEnv(port.EnvActor); isActor && !mainCalled.Load() {
		panic("understudy: this process was started as an actor, and the program used the library before actor.Main: call it in the first line of main (actor.TestMain in tests)")
	}
	id, err := uuid.NewV7()
	if err != nil {
		return nil, fmt.Errorf("new system: %w", err)
	}
	s := newSystem(id.String(), opts)
	if opts.Cgroups == CgroupsRequired {
		if err := s.cleanup.open(s); err != nil {
			return nil, fmt.Errorf("new system: %w", err)
		}
	}
	return s, nil
}

func newSystem(id string, opts SystemOptions) *System {
	if opts.MaxMessage == 0 {
		opts.MaxMessage = wire.DefaultMaxMessage
	}
	if opts.Inline == 0 {
		opts.Inline = wire.DefaultInline
	}
	s := &System{id: id, opts: opts, entries: make(map[string]*entry), causes: make(map[string]error),
		inside: make(map[string]map[string]struct{}), senders: make(map[*sender]struct{}), done: make(chan struct{}), stopping: make(chan struct{})}
	s.program = filepath.Base(os.Args[0])
	s.ctx, s.cancel = context.WithCancelCause(context.Background())
	s.staying, s.unstay = context.WithCancel(s.ctx)
	return s
}

// System returns s: a system is an [actor.Scope].
func (s *System) System() port.System { return s }

// Path returns "/".
func (s *System) Path() string { return "/" }

// MaxMessage returns the size in bytes of the system's largest message.
func (s *System) MaxMessage() int { return s.opts.MaxMessage }

// ID returns the system's id, the same in all its processes.
func (s *System) ID() string { return s.id }

// Logger returns the logger of the system.
func (s *System) Logger() *slog.Logger {
	if s.opts.Logger != nil {
		return s.opts.Logger
	}
	return slog.Default()
}

// spawn runs f in a goroutine that Close awaits.
func (s *System) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		go f() // it sees the ended ctx at once
		return
	}
	s.work.Add(1)
	go func() {
		defer s.work.Done()
		f()
	}()
}

// follow is spawn for what continues work that Close already awaits.
func (s *System) follow(f func()) { s.work.Go(f) }

// Spawn runs f in a goroutine that ends when the system does.
func (s *System) Spawn(f func(ctx context.Context)) { s.spawn(func() { f(s.ctx) }) }

// buffer returns a buffer from the pool for a message of the system's size.
func (s *System) buffer() *codec.Buffer {
	b := codec.GetBuffer()
	b.Limits.Bytes = s.opts.MaxMessage
	return b
}

func (s *System) connOptions() conn.Options {
	return conn.Options{Inline: s.opts.Inline, Max: s.opts.MaxMessage}
}

// Close ends the system: everything launched in it is killed and awaited, if
// its supervisors have not done so, and its connections are closed. It is
// idempotent, and returns early with ctx's error.
func (s *System) Close(ctx context.Context) error {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.Stopping()
	var instances []*Instance
	for _, e := range s.entries {
		if e.inst != nil && !e.inst.self {
			instances = append(instances, e.inst)
		}
	}
	s.mu.Unlock()
	if first {
		go func() {
			defer close(s.done)
			for _, i := range instances {
				if i.remote() {
					i.Stop(0)
				} else {
					i.Stop(time.Second) // a goroutine cannot be killed: give it time to return
				}
			}
			for _, i := range instances {
				<-i.Done()
			}
			s.mu.Lock()
			senders := slices.Collect(maps.Keys(s.senders))
			causes := make([]error, len(senders))
			for i, to := range senders {
				causes[i] = fmt.Errorf("system closed: %w", s.because(to.target.path, actor.ErrStopped))
			}
			s.mu.Unlock()
			for i, to := range senders {
				to.close(causes[i])
			}
			s.cancel(actor.ErrStopped)
			s.cleanup.close(s)
			s.work.Wait()
			s.crashes.close(s)
			s.sink.flush()
			s.repeats.flush(s.logRepeats)
			s.sink.flush()
			s.events.close()
		}()
	}
	select {
	case <-s.done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Stopping says that the whole system, or what of it is below this process, begins
// to stop: the end of a process by a signal to end was meant for all.
func (s *System) Stopping() { s.stoppingOnce.Do(func() { close(s.stopping) }) }

// stopsWithin waits for Stopping, for at most d.
func (s *System) stopsWithin(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-s.stopping:
		return true
	case <-t.C:
		return false
	}
}

// deadLetter reports a message that will not be handled, or whose handling was
// cut off.
func (s *System) deadLetter(path, method string, err error) {
	s.Emit(actor.Event{Type: actor.EventDeadLetter, Path: path, Method: method, Err: err, Sender: s.fromPath()})
}

// Emit publishes an event here and in every process above. A zero time is now.
func (s *System) Emit(e actor.Event) {
	if e.Time.IsZero() {
		e.Time = time.Now()
	}
	s.events.publish(e)
	if s.parent == nil {
		s.counters.count(e)
	}
	if s.parent != nil {
		s.sendUpward(&s.upward.events, ctlEvent, codec.ControlParams(toWireEvent(e)))
		return
	}
	if e.Type == actor.EventDataRace {
		races.add(port.Race{Path: e.Path, PID: e.PID, Report: e.Detail})
	}
	s.toSink(eventSize(e), func() { s.log(e) })
}

// logRepeats says how many records of one type of event were left out.
func (s *System) logRepeats(t actor.EventType, n int) {
	s.say(slog.LevelWarn, "actor "+string(t)+": more, not logged one by one", slog.Int("count", n))
}

func (s *System) log(e actor.Event) {
	if s.crashes.take(s, e) {
		return
	}
	level := slog.LevelDebug
	switch e.Type {
	case actor.EventExited:
		if e.Exit != nil && ClassOf(e.Exit.Reason) == Abnormal {
			level = slog.LevelWarn
		}
	case actor.EventStartFailed, actor.EventNotRestarted, actor.EventDeadLetter, actor.EventCastFailed, actor.EventDeadlock, actor.EventAbandoned, actor.EventOutputDropped, actor.EventConnectionLost, actor.EventSocketOnly:
		level = slog.LevelWarn
	case actor.EventGaveUp, actor.EventDataRace:
		level = slog.LevelError
	}
	if !s.Logger().Enabled(context.Background(), level) {
		return
	}
	if (e.Type == actor.EventDeadLetter || e.Type == actor.EventCastFailed) && !s.repeats.allow(e.Type, s.logRepeats) {
		return
	}
	attrs := []slog.Attr{slog.String("path", e.Path)}
	add := func(key string, ok bool, v any) {
		if ok {
			attrs = append(attrs, slog.Any(key, v))
		}
	}
	add("kind", e.Kind != "", e.Kind)
	add("pid", e.PID != 0, e.PID)
	add("method", e.Method != "", e.Method)
	if e.Exit != nil {
		add("exit", true, e.Exit.String())
	}
	add("error", e.Err != nil, e.Err)
	add("detail", e.Detail != "", e.Detail)
	s.Logger().LogAttrs(context.Background(), level, "actor "+string(e.Type), attrs...)
}

// Stats counts what this process's part of the system holds.
type Stats struct {
	Instances   int    // actors that run or start here
	Connections int    // connections to other actors
	Unbegun     int    // messages in our hands
	DeadLetters uint64 // of this process and those below
}

// Stats returns the counts of now.
func (s *System) Stats() Stats {
	st := Stats{DeadLetters: s.events.count(actor.EventDeadLetter)}
	s.mu.Lock()
	for _, e := range s.entries {
		if e.inst != nil {
			st.Instances++
		}
	}
	senders := slices.Collect(maps.Keys(s.senders))
	s.mu.Unlock()
	for _, to := range senders { // a sender's lock comes before ours
		to.mu.Lock()
		if to.current != nil {
			st.Connections++
		}
		st.Unbegun += to.out.Len()
		to.mu.Unlock()
	}
	return st
}

// uniqueName returns a path below base that nothing else has.
func (s *System) uniqueName(base string) string {
	return path.Join("/", base, fmt.Sprintf("$%d-%d", os.Getpid(), s.names.Add(1)))
}
