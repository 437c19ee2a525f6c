package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/understudy-go/understudy/bench/peers/internal/harness"
	"github.com/understudy-go/understudy/bench/peers/internal/work"
)

// protoActor is Proto.Actor: an actor is a goroutine of this process, and a
// message is a pointer.
type protoActor struct {
	system *actor.ActorSystem
	pid    *actor.PID
}

// A message that is not to be answered is of another type.
type (
	protoCount struct{ work.Note }
	protoTotal struct{}
)

type protoSubject struct{ counted int }

func (s *protoSubject) Receive(ctx actor.Context) {
	switch msg := ctx.Message().(type) {
	case *work.Note:
		reply := work.Change(*msg)
		ctx.Respond(&reply)
	case *protoCount:
		s.counted++
	case *protoTotal:
		ctx.Respond(s.counted)
		s.counted = 0
	}
}

func startProtoActor(context.Context) (harness.Peer, error) {
	quiet := func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }
	system := actor.NewActorSystem(actor.WithLoggerFactory(quiet))
	pid := system.Root.Spawn(actor.PropsFromProducer(func() actor.Actor { return &protoSubject{} }))
	return &protoActor{system, pid}, nil
}

// protoTimeout must be given with a request; none is near it.
const protoTimeout = 10 * time.Second

func (p *protoActor) Change(n work.Note) (work.Note, error) {
	got, err := p.system.Root.RequestFuture(p.pid, &n, protoTimeout).Result()
	if err != nil {
		return work.Note{}, err
	}
	reply, ok := got.(*work.Note)
	if !ok {
		return work.Note{}, fmt.Errorf("reply is a %T", got)
	}
	return *reply, nil
}

func (p *protoActor) Round(n int, pause time.Duration) ([]time.Duration, error) {
	return callRound(p, n, pause)
}

func (p *protoActor) Stream(n int) (time.Duration, error) {
	begin := time.Now()
	for i := range n {
		p.system.Root.Send(p.pid, &protoCount{work.Request(i)})
	}
	got, err := p.system.Root.RequestFuture(p.pid, &protoTotal{}, protoTimeout).Result()
	if err == nil && got != n {
		err = fmt.Errorf("%v of %d messages were handled", got, n)
	}
	return time.Since(begin), err
}

func (p *protoActor) PIDs() []int { return nil }

func (p *protoActor) Stop() {
	_ = p.system.Root.StopFuture(p.pid).Wait() // it has been measured
	p.system.Shutdown()
}
