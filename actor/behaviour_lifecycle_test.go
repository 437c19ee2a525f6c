package actor_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// singer is an actor with a loop of its own and a Stop hook.
type singer struct{ song song }

type song struct {
	Diary string
	Gate  string
	Run   string // how the loop ends: nil, error, canceled, wait
	Stop  string // error: what the hook returns
}

func (s *singer) Run(ctx context.Context) error {
	write(s.song.Diary, "run")
	pass(s.song.Gate)
	switch s.song.Run {
	case "error":
		return fmt.Errorf("hoarse: %w", fs.ErrPermission)
	case "canceled":
		return context.Canceled // an inner one: nobody asked
	case "wait":
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return nil
}

func (s *singer) Stop(ctx context.Context) error {
	_, bounded := ctx.Deadline()
	write(s.song.Diary, fmt.Sprint("stop, bounded: ", bounded, ", in time: ", ctx.Err() == nil))
	if s.song.Stop != "" {
		return errors.New(s.song.Stop)
	}
	return nil
}

func (s *singer) Sing(context.Context, actor.None) (string, error) { return "la", nil }

var (
	Singers = actor.Define("singer", func(_ context.Context, s song) (*singer, error) { return &singer{s}, nil })
	Sing    = actor.DefineMethod(Singers, "sing", (*singer).Sing)
)

// Run's return ends the actor, and decides how; Stop is called in any case but
// a crash.
func TestRunAndStop(t *testing.T) {
	everywhere(t, func(b *bed) {
		for _, c := range []struct {
			run    string
			reason actor.Reason
			is     error
		}{{"", actor.ReasonNormal, nil}, {"error", actor.ReasonError, fs.ErrPermission}, {"canceled", actor.ReasonError, context.Canceled}} {
			g := b.gate()
			b.start(supervisor.Child{Name: "s", Run: Singers.With(song{Diary: b.diary.path, Gate: g.path, Run: c.run}), Restart: supervisor.Temporary})
			b.diary.expect("run")
			check(b, "la")(Sing.Call(b.ctx, must(Singers.Lookup(b.tree, "s")), actor.None{})) // beside the loop
			g.open()
			e := b.events.wait(actor.EventExited, "/s")
			if e.Exit.Reason != c.reason || !errors.Is(e.Exit.Err, c.is) {
				b.Fatalf("%s: %+v", c.run, e.Exit)
			}
			b.diary.expect("stop, bounded: true, in time: true")
		}
	})
}

func TestOrderlyStop(t *testing.T) {
	everywhere(t, func(b *bed) {
		for _, timeout := range []time.Duration{20 * time.Second, supervisor.Forever} {
			b.start(supervisor.Child{Name: "s", Run: Singers.With(song{Diary: b.diary.path, Run: "wait", Stop: "encore"}), StopTimeout: timeout})
			b.diary.expect("run")
			b.must(b.tree.StopChild(b.ctx, "s"))
			b.diary.expect(fmt.Sprintf("stop, bounded: %v, in time: true", timeout > 0))
			x := b.list()[0].LastExit
			if x.Reason != actor.ReasonShutdown || x.Err == nil || x.Err.Error() != "stop: encore" {
				b.Fatalf("%+v", x)
			}
		}
	})
}

// A handler that does not care is ended by force when its time is up, or
// abandoned if it is a goroutine.
func TestStopTimeout(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet(supervisor.Child{StopTimeout: 50 * time.Millisecond})
		g := b.gate()
		held := PuppetAct.Go(b.ctx, p, act{Note: "deaf", Gate: g.path})
		b.diary.expect("deaf")
		b.must(b.tree.StopChild(b.ctx, "p")) // returns though the gate is shut
		if x := b.list()[0].LastExit; x.Reason != actor.ReasonKilled {
			b.Fatalf("%+v", x)
		}
		_, err := held.Result()
		if x := b.exit(err); x.Begun != actor.BegunYes {
			b.Fatalf("%#v", x)
		}
		if errors.Is(err, actor.ErrStopped) {
			b.Fatalf("a call that was begun must not look like one that may be made again: %v", err)
		}
		if !b.process {
			b.events.wait(actor.EventAbandoned, "/p")
		}
		g.open()
	})
}

// Drain: an orderly stop serves what is waiting.
func TestDrain(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet(supervisor.Child{Drain: true, StopTimeout: 20 * time.Second})
		const n = 300
		inHand, letGo := context.WithCancel(b.ctx)
		defer letGo()
		PuppetAct.Go(inHand, p, act{Note: "held", Then: "ctx"})
		b.diary.expect("held")
		for i := range n {
			b.must(PuppetAct.Cast(b.ctx, p, act{Note: fmt.Sprint(i)}))
		}
		stopped := make(chan error, 1)
		go func() { stopped <- b.tree.StopChild(b.ctx, "p") }()
		for b.list()[0].State != "stopping" {
			b.must(b.ctx.Err())
		}
		letGo() // the actor hears of that when all is in its mailbox
		b.diary.expect("ctx: the caller has given up")
		for i := range n {
			b.diary.expect(fmt.Sprint(i))
		}
		b.must(<-stopped)
		if x := b.list()[0].LastExit; x.Reason != actor.ReasonShutdown {
			b.Fatalf("%+v", x)
		}
		b.events.none(actor.EventDeadLetter)
	})
}

// An actor that says so is not restarted, whatever its type.
func TestDoNotRestart(t *testing.T) {
	everywhere(t, func(b *bed) {
		b.start(supervisor.Child{Name: "p", Run: Puppets.With(b.stage())}, supervisor.Child{Name: "q", Run: Puppets.With(b.stage())})
		for id, how := range map[string]string{"p": "exit for good", "q": "exit code 125"} {
			if !b.process {
				how = "exit for good"
			}
			_, err := PuppetAct.Call(b.ctx, b.ref(id), act{Then: how})
			b.exit(err)
			if e := b.events.wait(actor.EventExited, "/"+id); !e.Exit.DoNotRestart {
				b.Fatalf("%+v", e.Exit)
			}
			_, err = PuppetAdd.Call(b.ctx, b.ref(id), 1)
			b.gone(err)
		}
	})
}

// A start that fails says why.
func TestFailingStart(t *testing.T) {
	everywhere(t, func(b *bed) {
		for how, text := range map[string]string{"fail": "no stage", "panic": "stage fright", "hang": "not ready after"} {
			_, err := supervisor.Start(b.ctx, supervisor.Spec{Defaults: b.fields, Children: []supervisor.Child{
				{Name: "p", Run: Puppets.With(stage{Start: how}), StartTimeout: map[bool]time.Duration{true: 300 * time.Millisecond, false: 0}[how == "hang"]}}}, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
			if err == nil || !containsAll(err.Error(), "/p", text) {
				b.Fatalf("%s: %v", how, err)
			}
			if how == "fail" {
				b.is(err, fs.ErrNotExist)
			}
		}
	})
}

// The watchdog notices a process that stands still.
func TestWatchdog(t *testing.T) {
	inProcesses(t, func(b *bed) {
		p := b.puppet(supervisor.Child{Watchdog: 200 * time.Millisecond})
		held := PuppetAct.Go(b.ctx, p, act{Note: "in", Then: "ctx"})
		b.diary.expect("in")
		b.must(syscall.Kill(b.pid("p"), syscall.SIGSTOP))
		_, err := held.Result()
		if x := b.exit(err); x.Reason != actor.ReasonUnresponsive || x.Begun != actor.BegunYes {
			b.Fatalf("%#v", x)
		}
		check(b, 0)(PuppetAdd.Call(b.ctx, p, 0))
	})
}

// A system that ends takes everything with it, and fails what waits.
func TestEndOfASystem(t *testing.T) {
	everywhere(t, func(b *bed) {
		p := b.puppet()
		held := PuppetAct.Go(b.ctx, p, act{Note: "held", Then: "ctx"})
		b.diary.expect("held")
		waiting := PuppetAct.Go(b.ctx, p, act{Note: "waiting"})
		b.must(b.tree.Stop(b.ctx))
		if _, err := held.Result(); err == nil {
			b.Fatal("no error")
		}
		_, err := waiting.Result()
		b.gone(err)
		_, err = PuppetAdd.Call(b.ctx, p, 1)
		b.gone(err)
		b.gone(PuppetAdd.Cast(b.ctx, p, 1))
		b.gone(PuppetAdd.TryCast(p, 1))
		_, err = p.Pin(b.ctx)
		b.gone(err)
	})
}
