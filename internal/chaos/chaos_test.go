package chaos_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

var (
	length        = flag.Duration("chaos", 3*time.Second, "how long faults are injected, over each transport")
	onlyTransport = flag.String("chaos.transport", "", "only this transport: socket, auto or ring")
	seed          = flag.Uint64("seed", 0, "seed of the faults' order; 0: a new one")
	logFile       = flag.String("chaos.log", "", "file for all that the system logs")
)

func TestMain(m *testing.M) { actor.TestMain(m) }

// transports are by name what messages travel by: the socket alone, rings from a
// connection's first message on, and rings that come while it is in use.
var transports = map[string]string{"socket": "socket", "ring": "ring", "auto": "auto"}

// TestChaos lets faults happen while everybody sends to everybody, and then
// accounts for each message.
func TestChaos(t *testing.T) {
	if err := process.Supported(); err != nil {
		t.Skip(err)
	}
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	for _, name := range slices.Sorted(maps.Keys(transports)) {
		if *onlyTransport == "" || *onlyTransport == name {
			t.Run(name, func(t *testing.T) { chaos(t, name) })
		}
	}
}

func chaos(t *testing.T, transport string) {
	t.Logf("-seed=%d -chaos=%v -chaos.transport=%s", *seed, *length, transport)
	leaktest.Check(t)
	released = make(chan struct{})
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(context.Background(), *length+2*time.Minute)
	defer cancel()

	j, err := journalOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		j.close()
		theJournal.j = nil
	}()
	j.write(record{Entry: entryBorn, Self: roleRoot, Process: self, PID: uint32(os.Getpid()), Time: wallClock()})

	log := newLog(t)
	defer log.close()
	tree, err := supervisor.Start(ctx, supervisor.Spec{Intensity: manyRestarts, Period: time.Second}, supervisor.Options{Transport: transports[transport], Logger: slog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	w := watch(runtime.SystemOf(tree))
	in := actor.NewInbox[note](tree, 64)
	read := readInbox(in, j)
	b := birth{Dir: dir, Inbox: in.Ref()}
	if err := open(ctx, tree, b); err != nil {
		t.Fatal(err)
	}
	must(t, j.set(storm))

	var pumps sync.WaitGroup
	for range pumpsEach {
		pumps.Add(1)
		go func() {
			defer pumps.Done()
			newSender(tree, b, j).pump(ctx)
		}()
	}
	th := &theater{tree: tree, w: w, rng: rand.New(rand.NewPCG(*seed, 0)), logf: t.Logf, done: make(map[string]int)}
	raging, calmDown := context.WithTimeout(ctx, *length)
	th.rage(raging)
	calmDown()

	t.Log(time.Now().Format(stamp), "the storm is over")
	must(t, j.set(calm))
	must(t, th.heal(ctx, dir))
	t.Log(time.Now().Format(stamp), "everybody answers")
	must(t, j.set(quiet))
	bound, cancelBound := context.WithTimeout(ctx, 30*time.Second)
	defer cancelBound()
	if err := th.finish(bound); err != nil {
		t.Error(err)
		th.autopsy(dir)
	}
	pumps.Wait()
	newSender(tree, b, j).flush(bound)
	j.write(record{Entry: entryDone, Self: roleRoot, Process: self})

	t.Log(time.Now().Format(stamp), "everybody has finished")
	// The last dead letters and messages to the inbox may be on their way.
	patience := time.After(10 * time.Second)
	for waiting := true; waiting; {
		change := w.next()
		if len(accountOf(t, dir, w).faults) == 0 {
			break
		}
		select {
		case <-change:
		case <-read.changed:
		case <-patience:
			waiting = false
		}
	}
	t.Log(time.Now().Format(stamp), "the account is settled")
	close(released)
	in.Close()
	if err := tree.Stop(ctx); err != nil {
		t.Error(err)
	}
	<-w.ended
	read.stop()
	t.Log(time.Now().Format(stamp), "everybody has stopped")
	a := accountOf(t, dir, w)
	for _, f := range append(a.faults, w.faults...) {
		t.Error(f)
	}
	if st := shm.Stats(); st.Segments != 0 || st.Handles != 0 {
		t.Errorf("arrays left in the root: %+v %v", st, shm.Outstanding())
	}
	report(t, a, w, th)
	for op := opCall; op < operations; op++ {
		if a.begun[op] == 0 {
			t.Errorf("no %v was begun: the run shows nothing", op)
		}
	}
}

// stamp is the clock of the log of one run.
const stamp = "15:04:05.000"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err) // what was found out up to here is told, too
	}
}

func accountOf(t *testing.T, dir string, w *watcher) *account {
	t.Helper()
	records, err := readJournal(dir)
	if err != nil {
		t.Fatal(err)
	}
	return verify(w.evidence(records))
}

// open starts everybody.
func open(ctx context.Context, tree *supervisor.Tree, b birth) error {
	team := supervisor.Spec{Strategy: supervisor.RestForOne, Intensity: manyRestarts, Period: time.Second}
	var children []supervisor.Child
	for _, r := range targets() {
		of := b
		of.Role = r
		kind := Workers
		if cast[r].concurrent {
			kind = Hubs
		}
		c := settings(r)
		c.Name, c.Run = cast[r].id(), kind.With(of)
		switch strings.Count(cast[r].path, "/") {
		case 1:
			children = append(children, c)
		case 2:
			if strings.HasPrefix(cast[r].path, "/team/") {
				team.Children = append(team.Children, c)
			}
		}
	}
	children = append(children, supervisor.Child{Name: "team", Run: team})
	for _, c := range children {
		for {
			err := tree.StartChild(ctx, c)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return err
			}
		}
	}
	return nil
}

// inboxReader journals what arrives in the inbox.
type inboxReader struct {
	changed chan struct{}
	quit    chan struct{}
	ended   chan struct{}
}

func readInbox(in *actor.Inbox[note], j *journal) *inboxReader {
	r := &inboxReader{changed: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		w := &worker{birth: birth{Role: roleInbox}, role: cast[roleInbox], actor: 1, j: j}
		for {
			select {
			case n := <-in.C():
				w.enter(&n)()
				select {
				case r.changed <- struct{}{}:
				default:
				}
			case <-r.quit:
				return
			}
		}
	}()
	return r
}

func (r *inboxReader) stop() {
	close(r.quit)
	<-r.ended
}

// report tells what the run consisted of.
func report(t *testing.T, a *account, w *watcher, th *theater) {
	var b strings.Builder
	for op := opCall; op < operations; op++ {
		fmt.Fprintf(&b, "\n  %-10v %7d begun;", op, a.begun[op])
		for o, n := range a.outcomes[op] {
			if n > 0 {
				fmt.Fprintf(&b, " %s %d,", outcomeNames[o], n)
			}
		}
	}
	for _, m := range []map[string]int{w.counts, th.done} {
		var names []string
		for n := range m {
			names = append(names, n)
		}
		sort.Strings(names)
		b.WriteString("\n  ")
		for _, n := range names {
			fmt.Fprintf(&b, "%s %d, ", n, m[n])
		}
	}
	t.Logf("%d records, %d processes, of which %d lived to the end:%s", len(a.records), len(a.born), len(a.done), b.String())
}

// log keeps what matters of what the system and its processes say.
type log struct {
	t    *testing.T
	mu   sync.Mutex
	file *os.File
	loud map[string]int // lines still to be shown of a path
	over bool
}

func newLog(t *testing.T) *log {
	l := &log{t: t, loud: make(map[string]int)}
	if *logFile != "" {
		var err error
		if l.file, err = os.Create(*logFile); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func (l *log) Enabled(context.Context, slog.Level) bool { return true }
func (l *log) WithAttrs([]slog.Attr) slog.Handler       { return l }
func (l *log) WithGroup(string) slog.Handler            { return l }

func (l *log) Handle(_ context.Context, r slog.Record) error {
	var path, rest string
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "path" {
			path = a.Value.String()
		}
		rest += " " + a.String()
		return true
	})
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		fmt.Fprintln(l.file, r.Time.Format("15:04:05.000000"), r.Message, rest)
	}
	switch {
	case strings.Contains(r.Message, "DATA RACE"):
		l.loud[path] = 60
		l.t.Errorf("%s: a data race:", path)
	case strings.HasPrefix(r.Message, badMarker):
		l.loud[path]++
	}
	if l.loud[path] > 0 && !l.over {
		l.loud[path]--
		l.t.Log(path, r.Message)
	}
	return nil
}

func (l *log) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	if l.file != nil {
		_ = l.file.Close()
	}
}
