package runtime

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/sys"
)

// twin is a handlerContext beside what it stands for.
type twin struct {
	t      *testing.T
	stop   context.CancelCauseFunc // of the actor
	lazy   *handlerContext
	full   context.Context
	cancel context.CancelCauseFunc
}

type otherKey struct{}

func newTwin(t *testing.T, timeout time.Duration) *twin {
	w := &twin{t: t}
	var actor context.Context
	actor, w.stop = context.WithCancelCause(context.Background())
	inv := &invocation{h: &host{path: "/twin", ctx: actor}, m: &conn.Incoming{}}
	inv.ctx.inv = inv
	w.lazy = &inv.ctx
	ctx, cancel := context.WithCancelCause(context.WithValue(actor, port.ContextKey{}, inv))
	w.cancel = cancel
	if timeout != 0 {
		w.lazy.deadline = sys.MonotonicNow() + int64(timeout)
		var stop context.CancelFunc
		ctx, stop = context.WithTimeout(ctx, timeout)
		w.cancel = func(cause error) { cancel(cause); stop() }
	}
	w.full = ctx
	return w
}

// factsOf is what a context tells, in the ways that are asked for.
func factsOf(ctx context.Context, ways []string) (all []string) {
	for _, way := range ways {
		all = append(all, way+": "+fact(ctx, way))
	}
	return all
}

func fact(ctx context.Context, way string) string {
	switch way {
	case "err":
		return fmt.Sprint(ctx.Err())
	case "cause":
		return fmt.Sprint(context.Cause(ctx))
	case "done":
		return fmt.Sprint(isDone(ctx.Done()))
	case "deadline":
		at, ok := ctx.Deadline()
		again, _ := ctx.Deadline()
		return fmt.Sprint(time.Until(at), ok, at.Equal(again))
	case "value":
		return fmt.Sprint(ctx.Value(otherKey{}), ctx.Value(port.ContextKey{}) != nil, invocationOf(ctx) != nil)
	case "child":
		child, cancel := context.WithCancel(ctx)
		defer cancel()
		return fmt.Sprint(child.Err(), context.Cause(child))
	case "timeout":
		child, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		at, _ := child.Deadline()
		return fmt.Sprint(time.Until(at), child.Err(), context.Cause(child))
	case "after":
		ran := make(chan struct{})
		stop := context.AfterFunc(ctx, func() { close(ran) })
		synctest.Wait()
		return fmt.Sprint(isDone(ran), stop())
	case "without":
		bare := context.WithoutCancel(ctx)
		_, ok := bare.Deadline()
		return fmt.Sprint(bare.Err(), context.Cause(bare), bare.Done(), ok, invocationOf(bare) != nil)
	}
	panic(way)
}

var ways = []string{"err", "cause", "done", "deadline", "value", "child", "timeout", "after", "without"}

func (w *twin) compare(what string, ways []string) {
	w.t.Helper()
	got, want := factsOf(w.lazy, ways), factsOf(w.full, ways)
	for i := range want {
		if got[i] != want[i] {
			w.t.Errorf("%s: %s, want %s", what, got[i], want[i])
		}
	}
}

var errTwin = errors.New("some cause")

// Whatever ends it, whoever looked before, and however one asks afterwards.
func TestHandlerContextIsAContext(t *testing.T) {
	ends := map[string]func(w *twin){
		"nothing":            func(*twin) {},
		"the caller":         func(w *twin) { w.lazy.end(errCallerGone); w.cancel(errCallerGone) },
		"the actor":          func(w *twin) { w.stop(actor.ErrStopping) },
		"the actor, no more": func(w *twin) { w.stop(nil) },
		"the return":         func(w *twin) { w.lazy.end(context.Canceled); w.cancel(context.Canceled) },
		"the deadline":       func(*twin) { time.Sleep(time.Hour); synctest.Wait() },
	}
	for end, do := range ends {
		for _, before := range append([]string{""}, ways...) {
			for _, after := range ways {
				synctest.Test(t, func(t *testing.T) {
					w := newTwin(t, time.Hour)
					defer w.cancel(nil)
					defer w.lazy.end(context.Canceled)
					if before != "" {
						w.compare("before "+end, []string{before})
					}
					do(w)
					w.compare(fmt.Sprintf("%s after %s before %s", after, end, before), []string{after})
					w.compare("all after "+end, ways)
				})
			}
		}
	}
}

// A second end changes nothing, in any order and with any looks between.
func TestHandlerContextEndsOnce(t *testing.T) {
	for seed := range uint64(300) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			timeout := time.Duration(rnd.IntN(2)) * time.Minute
			w := newTwin(t, timeout)
			defer w.cancel(nil)
			defer w.lazy.end(context.Canceled)
			trail := fmt.Sprintf("seed %d:", seed)
			for range 6 {
				switch rnd.IntN(4) {
				case 0:
					w.stop(actor.ErrStopping)
					trail += " stop"
				case 1:
					w.lazy.end(errTwin)
					w.cancel(errTwin)
					trail += " cancel"
				case 2:
					w.lazy.end(context.Canceled)
					w.cancel(context.Canceled)
					trail += " return"
				case 3:
					time.Sleep(31 * time.Second)
					synctest.Wait()
					trail += " sleep"
				}
				// Of a deadline and the end of the actor that nobody saw come, it
				// cannot tell which was first: so there is a look after each.
				look := []string{"err"}
				for _, way := range ways {
					if rnd.IntN(8) == 0 {
						look = append(look, way)
					}
				}
				w.compare(trail, look)
			}
			w.compare(trail, ways)
		})
	}
}

// A child that was made before the end hears of it, and leaves nothing behind
// when it ends first.
func TestHandlerContextTellsItsChildren(t *testing.T) {
	w := newTwin(t, 0)
	child, cancel := context.WithCancel(context.WithValue(w.lazy, otherKey{}, 1))
	defer cancel()
	early, cancelEarly := context.WithCancel(w.lazy)
	cancelEarly()
	if early.Err() == nil || w.lazy.Err() != nil {
		t.Fatalf("a child's end: %v, its parent's: %v", early.Err(), w.lazy.Err())
	}
	ran := make(chan struct{})
	context.AfterFunc(w.lazy, func() { close(ran) })
	w.lazy.end(errTwin)
	<-child.Done()
	<-ran
	if child.Err() != context.Canceled || context.Cause(child) != errTwin {
		t.Fatalf("the child has %v because of %v", child.Err(), context.Cause(child))
	}
	w.cancel(nil)
}

// Many look at it while it ends: they agree.
func TestHandlerContextInManyHands(t *testing.T) {
	for range 200 {
		w := newTwin(t, time.Hour)
		var wg sync.WaitGroup
		causes := make(chan error, 8)
		done := w.lazy.Done
		for i := range 8 {
			wg.Go(func() {
				if i%2 == 0 {
					_ = w.lazy.Err()
				}
				<-done()
				causes <- context.Cause(w.lazy)
			})
		}
		wg.Go(func() { w.lazy.end(errTwin) })
		wg.Go(func() { w.stop(actor.ErrStopping) })
		wg.Wait()
		close(causes)
		first := context.Cause(w.lazy)
		for cause := range causes {
			if cause != first || cause != errTwin && cause != actor.ErrStopping {
				t.Fatalf("causes %v and %v", first, cause)
			}
		}
		w.cancel(nil)
	}
}

// What nobody looks at costs nothing.
func TestHandlerContextDoesNotAllocate(t *testing.T) {
	w := newTwin(t, time.Hour)
	defer w.cancel(nil)
	if n := testing.AllocsPerRun(100, func() {
		w.lazy.state.Store(nil)
		if w.lazy.Err() != nil || invocationOf(w.lazy) == nil || actor.Trace(w.lazy) != nil || w.lazy.cause() != nil {
			t.Fatal("it has ended")
		}
		w.lazy.end(context.Canceled)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
