package actor_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/supervisor"
)

// leaver ends in the way its constructor was told.
type leaver struct {
	how  string
	left chan struct{} // closed by a goroutine that has called Exit
}

func (l *leaver) deferred() { close(l.left) }

var errLeft = errors.New("left the building")

func newLeaver(_ context.Context, how string) (*leaver, error) {
	switch how {
	case "constructor fails":
		fmt.Fprintln(os.Stderr, "no room")
		return nil, fmt.Errorf("constructing: %w", errLeft)
	case "constructor panics":
		panic("constructor")
	case "constructor hangs":
		select {}
	case "ignore":
		return nil, actor.ErrIgnore
	}
	return &leaver{how, make(chan struct{})}, nil
}

// Run waits for the stop, and takes it badly.
func (l *leaver) Run(ctx context.Context) error {
	<-ctx.Done()
	switch l.how {
	case "panic at stop":
		panic("at stop")
	case "exit at stop":
		actor.Exit(ctx, errLeft)
	case "error at stop":
		return errLeft
	}
	return ctx.Err()
}

func (l *leaver) Leave(ctx context.Context, how string) (string, error) {
	switch how {
	case "goexit":
		runtime.Goexit()
	case "exit":
		actor.Exit(ctx, fmt.Errorf("leaving: %w", errLeft))
	case "exit on another goroutine", "exit after the ctx":
		own, cancel := context.WithCancel(ctx)
		context.AfterFunc(own, func() {
			defer l.deferred()
			actor.Exit(own, fmt.Errorf("leaving: %w", errLeft))
		})
		if how == "exit after the ctx" {
			context.AfterFunc(ctx, cancel) // which ends when the handler returns
			return how, nil
		}
		cancel()
		<-l.left
	}
	return how, nil
}

func (l *leaver) Strict(context.Context, actor.None) (bool, error) { return shm.Strict(), nil }

var (
	Leavers      = actor.Define("leaver", newLeaver, actor.KindOptions{Errors: []error{errLeft}})
	Leave        = actor.DefineMethod(Leavers, "leave", (*leaver).Leave)
	LeaverStrict = actor.DefineMethod(Leavers, "strict", (*leaver).Strict)
)

func (b *bed) leaver(id string) actor.Ref[leaver] {
	b.Helper()
	ref, err := Leavers.Lookup(b.tree, id)
	b.must(err)
	return ref
}

// Who crashes while being stopped is reported with its own reason, and an error
// that Run returns then is not lost.
func TestEndsDuringAStop(t *testing.T) {
	for how, want := range map[string]actor.Reason{
		"panic at stop": actor.ReasonPanic, "exit at stop": actor.ReasonError, "error at stop": actor.ReasonShutdown, "": actor.ReasonShutdown,
	} {
		t.Run(how, func(t *testing.T) {
			everywhere(t, func(b *bed) {
				b.start(supervisor.Child{Name: "l", Run: Leavers.With(how)})
				b.must(b.tree.StopChild(b.ctx, "l"))
				x := b.list()[0].LastExit
				if x.Reason != want || (x.Err == nil) != (how == "") {
					b.Fatalf("it ended with %v, want %v", x, want)
				}
				if how == "error at stop" || how == "exit at stop" {
					b.is(x.Err, errLeft)
				}
			})
		})
	}
}

// Exit works on any goroutine of the actor: one that a ctx's end starts, for one.
// It ends that goroutine, and the handler beside it has its time.
func TestExitOnAnotherGoroutine(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "l", Run: Leavers.With("")}, supervisor.Child{Name: "m", Run: Leavers.With("")})
		const how = "exit on another goroutine"
		check(b, how)(Leave.Call(b.ctx, b.leaver("l"), how)) // it replies in the stop timeout
		_, err := Leave.Call(b.ctx, b.leaver("m"), "exit after the ctx")
		if err != nil && b.exit(err).Reason != actor.ReasonError { // it may be quicker than the reply
			b.Fatal(err)
		}
		for _, id := range []string{"l", "m"} {
			e := b.events.wait(actor.EventExited, "/"+id)
			if e.Exit.Reason != actor.ReasonError {
				b.Fatalf("%s ended with %v", id, e.Exit)
			}
			b.is(e.Exit.Err, errLeft)
			check(b, "hello")(Leave.Call(b.ctx, b.leaver(id), "hello")) // its replacement
		}
	})
}

// Outside of actors there is nothing to end.
func TestExitOutside(t *testing.T) {
	defer func() {
		if r := recover(); r == nil || !strings.Contains(fmt.Sprint(r), "does not belong to an actor") {
			t.Fatalf("it panicked with %v", r)
		}
	}()
	actor.Exit(t.Context(), nil)
}

// A handler that ends its goroutine, as testing's FailNow does, ends the actor:
// nobody would serve its slot.
func TestGoexit(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "l", Run: Leavers.With("")})
		_, err := Leave.Call(b.ctx, b.leaver("l"), "goexit")
		if x := b.exit(err); x.Reason != actor.ReasonError || !strings.Contains(err.Error(), "Goexit") {
			b.Fatalf("%v", err)
		}
		check(b, "hello")(Leave.Call(b.ctx, b.leaver("l"), "hello"))
	})
}

// A kind's sentinels are found in the report of an end, too.
func TestSentinelsOfAnEnd(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "l", Run: Leavers.With("")})
		_, err := Leave.Call(b.ctx, b.leaver("l"), "exit")
		b.exit(err)
		b.is(err, errLeft)
		err = b.tree.StartChild(b.ctx, supervisor.Child{Name: "m", Run: Leavers.With("constructor fails")})
		b.is(err, errLeft)
		if b.process && !strings.Contains(err.Error(), "no room") {
			b.Errorf("%v does not say what it printed", err)
		}
	})
}

// A constructor that panics or hangs is the same error in all modes; one that
// ignores says so.
func TestConstructorsThatEnd(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start()
		err := b.tree.StartChild(b.ctx, supervisor.Child{Name: "p", Run: Leavers.With("constructor panics")})
		if x, ok := exitOf(err); !ok || x.Reason != actor.ReasonPanic || x.Begun != actor.BegunNo || strings.Count(err.Error(), "panic: constructor") != 1 {
			b.Errorf("panic: %v", err)
		}
		if b.process { // a goroutine that hangs stays, and would be a leak
			err = b.tree.StartChild(b.ctx, supervisor.Child{Name: "h", Run: Leavers.With("constructor hangs"), StartTimeout: 50 * time.Millisecond})
			if x, ok := exitOf(err); !ok || x.Reason != actor.ReasonStartTimeout {
				b.Errorf("start timeout: %v", err)
			}
		}
		b.is(b.tree.StartChild(b.ctx, supervisor.Child{Name: "i", Run: Leavers.With("ignore")}), actor.ErrIgnore)
		b.events.wait(actor.EventIgnored, "/i")
	})
}

// An ended ctx is the error of a send, together with its cause.
func TestCauseOfAnEndedContext(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "l", Run: Leavers.With("")})
		ctx, cancel := context.WithCancelCause(b.ctx)
		cancel(errLeft)
		_, err := Leave.Call(ctx, b.leaver("l"), "hello")
		b.is(err, context.Canceled, errLeft)
		b.is(Leave.Cast(ctx, b.leaver("l"), "hello"), context.Canceled, errLeft)
	})
}

// TestMain's strictness about released arrays holds in the actors, too.
func TestStrictInActors(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "l", Run: Leavers.With("")})
		check(b, true)(LeaverStrict.Call(b.ctx, b.leaver("l"), actor.None{}))
	})
}

// landlord is an actor with a tree of its own.
type landlord struct{ tree *supervisor.Tree }

func newLandlord(ctx context.Context, _ actor.None) (*landlord, error) {
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{{Name: "tenant", Run: Leavers.With("")}}})
	return &landlord{tree}, err
}

func (l *landlord) Nameplate(ctx context.Context, _ actor.None) (string, error) {
	tenant, err := Leavers.Lookup(l.tree, "tenant")
	if err != nil {
		return "", err
	}
	return LeaverTitle.Call(ctx, tenant, actor.None{})
}

func (*leaver) Title(context.Context, actor.None) (string, error) {
	line, err := os.ReadFile("/proc/self/cmdline") // what ps shows; os.Args[0] is the program's
	return strings.TrimRight(string(line), " \x00"), err
}

var (
	LeaverTitle = actor.DefineMethod(Leavers, "title", (*leaver).Title)
	Landlords   = actor.Define("landlord", newLandlord)
	Nameplate   = actor.DefineMethod(Landlords, "nameplate", (*landlord).Nameplate)
)

// A process below another actor's is named after the program, not after its
// parent's title.
func TestTitlesBelowAnActor(t *testing.T) {
	inProcesses(t, func(b *bed) {
		b.start(supervisor.Child{Name: "lord", Run: Landlords.With(actor.None{})})
		lord, err := Landlords.Lookup(b.tree, "lord")
		b.must(err)
		check(b, filepath.Base(os.Args[0])+": /lord/tenant #1")(Nameplate.Call(b.ctx, lord, actor.None{}))
	})
}
