package e2e_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/supervisor"
)

// Many connections at a time: to one actor, from one actor, and where the descriptors
// for them run out.

// tally counts what others send it, and finds out what is out of order.
type tally struct{ last map[string]int }

// sent is message N of a sender, from 1.
type sent struct {
	From string
	N    int
	Die  bool
}

// raid is what a sender does to a tally.
type raid struct {
	At   actor.Ref[tally]
	From string
	N    int
	Die  int // this one ends the tally's process
}

// raided is how it went.
type raided struct{ Answered, Died int }

var (
	Tallies = actor.Define("tally", func(context.Context, actor.None) (*tally, error) { return &tally{last: make(map[string]int)}, nil })
	Tally   = actor.DefineMethod(Tallies, "tally", (*tally).Tally)

	VictimRaid  = actor.DefineMethod(Victims, "raid", raidTally)
	VictimChat  = actor.DefineMethod(Victims, "chat", (*victim).Chat)
	VictimVisit = actor.DefineMethod(Victims, "visit", visit)
)

// Tally answers how many messages of the sender are missing before this one:
// none, or, in a new life, those that the lives before have begun.
func (y *tally) Tally(_ context.Context, m sent) (int, error) {
	last, known := y.last[m.From]
	if known && m.N != last+1 {
		return 0, fmt.Errorf("message %d of %s after %d", m.N, m.From, last)
	}
	y.last[m.From] = m.N
	if m.Die {
		_ = unix.Kill(os.Getpid(), unix.SIGKILL)
		select {}
	}
	if known {
		return 0, nil
	}
	return m.N - 1, nil
}

// raidTally sends without waiting for answers. Each message is answered, or
// ends with its tally; and what one life has not begun, the next one has.
func raidTally(_ *victim, ctx context.Context, r raid) (out raided, err error) {
	var calls []*actor.Future[int]
	for i := 1; i <= r.N; i++ {
		calls = append(calls, Tally.Go(ctx, r.At, sent{From: r.From, N: i, Die: i == r.Die}))
	}
	for i, f := range calls {
		missing, err := f.Result()
		switch x, ended := exitOf(err); {
		case err == nil && missing > out.Answered+out.Died:
			return out, fmt.Errorf("%d messages before message %d are missing", missing, i+1)
		case err == nil:
			out.Answered++
		case ended && x.Begun == actor.BegunYes:
			out.Died++
		default:
			return out, err
		}
	}
	return out, nil
}

// Twenty siblings send to one actor at once, hundreds of messages each, and one
// of them kills it in the midst of that.
func TestManySiblings(t *testing.T) { overTransports(t, manySiblings) }

func manySiblings(t *testing.T, w *world) {
	const siblings, each = 20, 300
	tree, err := supervisor.Start(w.ctx, supervisor.Spec{Name: "crowd", Intensity: 100,
		Children: []supervisor.Child{{Name: "tally", Run: Tallies.With(actor.None{})}}}, supervisor.Options{Logger: w.sys.Logger(), Transport: w.transport})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Stop(context.Background())
	at, err := Tallies.Lookup(tree, "tally")
	if err != nil {
		t.Fatal(err)
	}
	var all []*actor.Future[raided]
	for k := range siblings {
		id := fmt.Sprintf("v%d", k)
		err := tree.StartChild(w.ctx, supervisor.Child{Name: id, Run: Victims.With("")})
		v, err2 := Victims.Lookup(tree, id)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		r := raid{At: at, From: id, N: each}
		if k == siblings/2 {
			r.Die = each / 2
		}
		all = append(all, VictimRaid.Go(w.ctx, v, r))
	}
	died := 0
	for k, f := range all {
		out, err := f.Result()
		if err != nil || out.Answered+out.Died != each {
			t.Errorf("sibling %d: %+v, %v", k, out, err)
		}
		died += out.Died
	}
	if died != 1 { // one slot, and one message in it
		t.Errorf("%d calls ended with the actor", died)
	}
}

// chat is a conversation: a line for each hundred words.
type chat struct {
	With  actor.Ref[victim]
	Diary string
}

// Chat calls another victim again and again, and keeps a diary.
func (v *victim) Chat(ctx context.Context, c chat) (int, error) {
	f, err := os.OpenFile(c.Diary, os.O_WRONLY, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	for n := 1; ctx.Err() == nil; n++ {
		if _, err := VictimCount.Call(ctx, c.With, 1); err != nil {
			fmt.Fprintln(f, err)
			return n, err
		}
		if n%100 == 0 {
			if _, err := fmt.Fprintln(f, "a hundred"); err != nil {
				return n, err
			}
		}
	}
	return 0, nil
}

// Siblings go on talking to each other while the root, which supervises both
// and introduced them, is stopped.
func TestSiblingsOfAStoppedRoot(t *testing.T) {
	for _, l := range transports {
		t.Run(l.name, func(t *testing.T) {
			leaktest.Check(t)
			t.Setenv(envTransport, l.name)
			diary := filepath.Join(t.TempDir(), "diary")
			if err := unix.Mkfifo(diary, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(diary, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := f.SetReadDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			s := startRoot(t, self)
			s.command("chat "+diary, "they chat")
			lines := bufio.NewScanner(f)
			hear := func(what string, n int) {
				t.Helper()
				for range n {
					if !lines.Scan() || lines.Text() != "a hundred" {
						t.Fatalf("%s: %q, %v", what, lines.Text(), lines.Err())
					}
				}
			}
			hear("at first", 2)
			if err := s.cmd.Process.Signal(unix.SIGSTOP); err != nil {
				t.Fatal(err)
			}
			hear("while the root is stopped", 20)
			if err := s.cmd.Process.Signal(unix.SIGCONT); err != nil {
				t.Fatal(err)
			}
			hear("when it goes on", 2)
			s.kill()
			s.endsWithin(rootTimeout)
		})
	}
}

// itinerary is a tour of actors.
type itinerary struct {
	To   []actor.Ref[victim]
	Each int
}

// visit calls each of many actors a few times, and then all of them once more.
func visit(_ *victim, ctx context.Context, i itinerary) (int, error) {
	for _, to := range i.To {
		for range i.Each {
			if _, err := VictimCount.Call(ctx, to, 1); err != nil {
				return 0, err
			}
		}
	}
	total := 0
	for _, to := range i.To {
		n, err := VictimCount.Call(ctx, to, 0)
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// An actor that knows more others than it can have connections to closes idle ones,
// rings and all, and makes them again.
func TestIdleConnections(t *testing.T) { overTransports(t, idleConnections) }

func idleConnections(t *testing.T, w *world) {
	const others, each = 300, 3
	var all []*runtime.Instance
	var refs []actor.Ref[victim]
	for k := range others {
		path := fmt.Sprintf("/local%d", k)
		all = append(all, w.launch(path, Victims.With(""), runtime.Settings{InProcess: true}))
		refs = append(refs, w.victim(path))
	}
	traveller := w.launch("/traveller", Victims.With(""))
	if n, err := VictimVisit.Call(w.ctx, w.victim("/traveller"), itinerary{To: refs, Each: each}); err != nil || n != others*each {
		t.Errorf("%d calls were counted, %v", n, err)
	}
	mem, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", traveller.PID()))
	if err != nil {
		t.Fatal(err)
	}
	const halves, most = 2, 256
	if n := strings.Count(string(mem), "understudy-ring"); n > halves*(most+1) || n == 0 && w.transport == "ring" {
		t.Errorf("%d halves of rings are mapped", n)
	}
	for _, i := range append(all, traveller) {
		i.Stop(patience)
	}
	for _, i := range append(all, traveller) {
		w.wait(i.Done(), "end of "+i.Path())
	}
}

// Where descriptors run out while rings are made, the socket carries all, and
// an event says why.
func TestRingsWithoutDescriptors(t *testing.T) {
	w := newWorld(t)
	calls := func(ref actor.Ref[victim], n int) {
		t.Helper()
		for range n {
			if got, err := VictimEcho.Call(w.ctx, ref, "words"); err != nil || got != "words" {
				t.Fatal(got, err)
			}
		}
	}
	slow := func(path string) bool {
		w.log.mu.Lock()
		defer w.log.mu.Unlock()
		return slices.ContainsFunc(w.log.events, func(e actor.Event) bool { return e.Type == actor.EventSocketOnly && e.Path == path })
	}
	calls(w.ref, 20) // the healthy one has its rings
	end := func(i *runtime.Instance) {
		t.Helper()
		if x := w.stop(i); x.Reason != actor.ReasonShutdown {
			t.Errorf("%s: %v", i.Path(), x)
		}
	}

	// Here.
	fast := 0
	for free := range 8 {
		path := fmt.Sprintf("/poor%d", free)
		i := w.launch(path, Victims.With(""))
		ref := w.victim(path)
		calls(ref, 2)
		release := hog(t, free)
		calls(ref, 50)
		if !slow(path) {
			fast++
		}
		release()
		calls(ref, 50)
		end(i)
	}
	if fast == 0 || fast == 8 {
		t.Errorf("%d of 8 numbers of descriptors were enough", fast)
	}

	// There.
	i := w.launch("/poor", Victims.With(""), runtime.Settings{Process: actor.Process{Files: 64}})
	ref := w.victim("/poor")
	if _, err := VictimDo.Call(w.ctx, ref, "hog"); err != nil {
		t.Fatal(err)
	}
	calls(ref, 50)
	w.await("no rings for /poor", func(e actor.Event) bool { return e.Type == actor.EventSocketOnly && e.Path == "/poor" })
	if _, err := VictimDo.Call(w.ctx, ref, "unhog"); err != nil {
		t.Fatal(err)
	}
	calls(ref, 50)
	end(i)
}

// One processor on both sides: nobody looks while somebody else could work.
func TestOneProcessor(t *testing.T) { overTransports(t, oneProcessor) }

func oneProcessor(t *testing.T, w *world) {
	defer goruntime.GOMAXPROCS(goruntime.GOMAXPROCS(1))
	a := w.launch("/a", Victims.With(""), runtime.Settings{Process: actor.Process{Env: []string{"GOMAXPROCS=1"}}})
	b := w.launch("/b", Victims.With(""), runtime.Settings{Process: actor.Process{Env: []string{"GOMAXPROCS=1"}}})
	ref := w.victim("/a")
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			for range 200 {
				if _, err := VictimCount.Call(w.ctx, ref, 1); err != nil {
					t.Error(err)
				}
			}
			items := 0
			for n, err := range VictimStream.Open(w.ctx, ref, 500) {
				if err != nil || n != items {
					t.Errorf("item %d: %d, %v", items, n, err)
				}
				items++
			}
			if _, err := VictimAsk.Call(w.ctx, ref, w.victim("/b")); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
	ctx, cancel := context.WithCancel(w.ctx)
	f := VictimDo.Go(ctx, ref, "wait")
	cancel()
	if _, err := f.Result(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n, err := VictimCount.Call(w.ctx, ref, 0); err != nil || n != 1600 {
		t.Error(n, err)
	}
	w.stop(a)
	w.stop(b)
}
