package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
)

func init() {
	stubborn := func(answer func()) func() int {
		return func() int {
			terms := make(chan os.Signal, 1)
			signal.Notify(terms, unix.SIGTERM)
			fmt.Println("ready")
			<-terms
			fmt.Println("asked")
			answer()
			return 4
		}
	}
	roles["obedient"] = stubborn(func() {})
	roles["stubborn"] = stubborn(func() { select {} })
}

func TestNextRung(t *testing.T) {
	for _, tt := range []struct {
		state ladderState
		want  rung
	}{
		{ladderState{}, rungAsk},
		{ladderState{asked: true}, rungWait},
		{ladderState{timeUp: true}, rungKill},
		{ladderState{asked: true, timeUp: true}, rungKill},
		{ladderState{asked: true, timeUp: true, killed: true}, rungReap},
		{ladderState{timeUp: true, killed: true}, rungReap},
		{ladderState{gone: true}, rungFinish},
		{ladderState{gone: true, timeUp: true}, rungFinish}, // its end counts more than the clock
		{ladderState{gone: true, asked: true, killed: true, timeUp: true}, rungFinish},
	} {
		if got := nextRung(tt.state); got != tt.want {
			t.Errorf("%+v: %d, want %d", tt.state, got, tt.want)
		}
	}
	// Whatever happens, every state leads to the finish once the child is gone, and time up leads to a kill.
	for i := range 16 {
		s := ladderState{gone: i&1 != 0, timeUp: i&2 != 0, asked: i&4 != 0, killed: i&8 != 0}
		if r := nextRung(s); (r == rungFinish) != s.gone || s.timeUp && !s.gone && !s.killed && r != rungKill {
			t.Errorf("%+v: %d", s, r)
		}
	}
}

// hear returns a command that plays a part and a channel of what it prints.
func hear(name string) (Command, <-chan string) {
	lines := make(chan string, 16)
	cmd := role(name)
	cmd.Output = func(_ Stream, line []byte, _ bool) { lines <- string(line) }
	return cmd, lines
}

func TestTerminateAsks(t *testing.T) {
	leaktest.Check(t)
	cmd, lines := hear("obedient")
	p := start(t, cmd)
	<-lines
	if err := p.Terminate(bounded(t)); err != nil {
		t.Error(err)
	}
	if st := p.Status(); st.Code != 4 || st.Killed {
		t.Errorf("status %+v", st)
	}
	if err := p.Terminate(t.Context()); err != nil {
		t.Errorf("the dead: %v", err)
	}
}

func TestTerminateKillsWhenTimeIsUp(t *testing.T) {
	leaktest.Check(t)
	cmd, lines := hear("stubborn")
	p := start(t, cmd)
	<-lines
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("patience is at its end")
	result := make(chan error, 1)
	go func() { result <- p.Terminate(ctx) }()
	if line := <-lines; line != "asked" {
		t.Errorf("heard %q", line)
	}
	select {
	case err := <-result:
		t.Errorf("gave up early: %v", err)
	default:
	}
	cancel(cause)
	if err := <-result; !errors.Is(err, ErrKilled) || !errors.Is(err, cause) {
		t.Errorf("error %v", err)
	}
	if st := p.Status(); st.Signal != unix.SIGKILL || !st.Killed {
		t.Errorf("status %+v", st)
	}
}

func TestTerminateWithoutTimeKillsAtOnce(t *testing.T) {
	leaktest.Check(t)
	cmd, lines := hear("obedient")
	p := start(t, cmd)
	<-lines
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Terminate(ctx); !errors.Is(err, ErrKilled) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	select {
	case line := <-lines:
		t.Errorf("it was asked: %q", line)
	default:
	}
}

func TestTerminateReachesTheStopped(t *testing.T) {
	leaktest.Check(t)
	cmd, lines := hear("obedient")
	p := start(t, cmd)
	<-lines
	if err := p.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := p.Terminate(bounded(t)); err != nil {
		t.Error(err)
	}
	if st := p.Status(); st.Code != 4 {
		t.Errorf("status %+v", st)
	}
}
