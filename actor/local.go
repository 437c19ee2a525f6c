package actor

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
)

// localBody is an incarnation in a goroutine of this process.
type localBody struct {
	i    *Instance
	h    *host
	once sync.Once
	gone chan struct{} // abandoned
}

func newLocalBody(i *Instance) *localBody {
	b := &localBody{i: i, gone: make(chan struct{})}
	b.h = newHost(i.sys, i.kind, i.path, i.incarnation, i.settings.Capacity, i.settings.CapacityBytes, true)
	b.h.grace = stopTimeout(i.settings)
	return b
}

func (b *localBody) pid() int { return 0 }

func (b *localBody) askStop(timeout time.Duration) { b.h.askStop(timeout, b.i.settings.Drain) }

// kill abandons what does not end: a goroutine cannot be killed.
func (b *localBody) kill(bool) { b.once.Do(func() { close(b.gone) }) }

func (b *localBody) connect(c *client) (*link, error) { return pipeToHost(b.h, c, b.i) }

func (b *localBody) offer(from string) (*os.File, error) { return pairForHost(b.h, from) }

func (b *localBody) run(bp Blueprint) {
	i, h := b.i, b.h
	// The arguments are encoded and decoded as for a process: an actor never
	// shares memory with whoever starts it.
	buf := &codec.Buffer{Limits: wire.Limits{Bytes: i.sys.opts.MaxMessage}}
	defer buf.Reset()
	if err := bp.encode(buf); err != nil {
		err = fmt.Errorf("start %s: arguments: %w", i.path, err)
		i.failed(err)
		i.finished(ExitStatus{Reason: ReasonStartFailed, Err: err})
		return
	}
	src := newSource(buf.B, buf.Segments, i.sys)
	timeout := i.settings.StartTimeout
	if timeout == 0 {
		timeout = DefaultStartTimeout
	}
	tooLate := time.AfterFunc(timeout, func() {
		if !i.isReady() {
			i.failed(i.startTimedOut(timeout, nil, nil))
			h.finish(ExitStatus{Reason: ReasonStartTimeout})
			h.cancel(ErrStopping)
			b.kill(false)
		}
	})
	defer tooLate.Stop()
	go h.run(src, func(err error) {
		tooLate.Stop()
		switch p := (*PanicError)(nil); {
		case errors.As(err, &p): // finished says so, as of a process
		case err != nil:
			i.failed(fmt.Errorf("start %s: %w", i.path, err))
		default:
			i.succeeded()
		}
	})
	// An actor that ends by itself gives its handlers the usual time.
	go func() {
		select {
		case <-h.ending:
			if !i.stopAsked() && i.isReady() {
				i.endBy(stopTimeout(i.settings))
			}
		case <-h.ended:
		}
	}()
	abandoned := false
	select {
	case <-h.ended:
	case <-b.gone:
		select {
		case <-h.ended:
		default:
			abandoned = true
		}
	}
	h.inbox.Close()
	h.closeLinks()
	x := h.report()
	if abandoned {
		if x.Reason == ReasonShutdown {
			x.Reason = ReasonKilled
		}
		e := i.event(EventAbandoned)
		e.Detail = "a goroutine of the actor did not return in time"
		i.sys.Emit(e)
	}
	i.finished(x)
}

// endBy bounds how long an actor that ends by itself may take.
func (i *Instance) endBy(timeout time.Duration) {
	if timeout < 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.ended && i.timer == nil {
		i.timer = time.AfterFunc(timeout, func() { i.body.kill(false) })
	}
}

func stopTimeout(s Settings) time.Duration {
	if s.StopTimeout != nil {
		return *s.StopTimeout
	}
	return DefaultStopTimeout
}
