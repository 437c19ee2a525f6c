package runtime

import (
	"context"
	"errors"
	"fmt"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
)

// Questions are how a program looks into the processes of its actors: what they
// hold, what runs below them, their profiles. They travel from parent to child
// only, beside the messages, and a process answers them whatever its handlers do.

// questionOrder asks the actor at a path something.
type questionOrder struct {
	Path  string `msgpack:"path"`
	About string `msgpack:"about"`
	Args  []byte `msgpack:"args,omitempty"` // as the answer's function wants them
}

type questionAnswer struct {
	Body []byte `msgpack:"body"`
}

// Answer answers questions about an actor of this process. i is nil for the
// process of the root itself.
type Answer func(ctx context.Context, s *System, i *Instance, args []byte) ([]byte, error)

// answers are set by init functions only.
var answers = map[string]Answer{}

// RegisterAnswer makes this process know what to say about something. It is for
// init functions.
func RegisterAnswer(about string, f Answer) { answers[about] = f }

// Ask has the process of the actor at path answer a question. It waits for an
// actor that is being restarted, until ctx ends.
func (s *System) Ask(ctx context.Context, path, about string, args []byte) ([]byte, error) {
	if path == s.fromPath() {
		return s.answer(ctx, s.selfInstance(), about, args)
	}
	r, err := s.route(ctx, path, "")
	switch {
	case err != nil:
		return nil, err
	case r.inst != nil && !r.inst.remote():
		return s.answer(ctx, r.inst, about, args)
	case r.inst != nil:
		return r.inst.Ask(ctx, about, args)
	case r.conn == s.parent:
		return nil, fmt.Errorf("%s: %w", path, actor.ErrNotFound)
	}
	return ask(ctx, r.conn, path, about, args)
}

// Ask has this very incarnation answer a question.
func (i *Instance) Ask(ctx context.Context, about string, args []byte) ([]byte, error) {
	if !i.remote() {
		return i.sys.answer(ctx, i, about, args)
	}
	child := i.childConn()
	if child == nil {
		return nil, fmt.Errorf("%s: %w", i.path, ErrNoAnswer)
	}
	return ask(ctx, child, i.path, about, args)
}

// ErrNoAnswer is the error of a question to a program that answers none: one
// that speaks plain MessagePack-RPC, or has not begun to be an actor.
var ErrNoAnswer = fmt.Errorf("it answers no questions: %w", errors.ErrUnsupported)

func ask(ctx context.Context, to *conn.Conn, path, about string, args []byte) ([]byte, error) {
	r, err := request(ctx, to, ctlQuestion, codec.ControlParams(questionOrder{Path: path, About: about, Args: args}))
	if err != nil {
		if errors.Is(err, actor.ErrUnknown) {
			err = fmt.Errorf("%s: %w", path, ErrNoAnswer)
		}
		return nil, err
	}
	defer r.Drop()
	var a questionAnswer
	if err := codec.DecodeResult(r.Result, &a); err != nil {
		return nil, err
	}
	return a.Body, nil
}

func (s *System) answer(ctx context.Context, i *Instance, about string, args []byte) ([]byte, error) {
	f := answers[about]
	if f == nil {
		return nil, fmt.Errorf("question about %q: %w", about, actor.ErrUnknown)
	}
	return f(ctx, s, i, args)
}

// question answers the parent.
func (c *child) question(m *conn.Incoming) {
	if c.host() == nil {
		respondError(c.conn, m.ID, fmt.Errorf("question: %w", actor.ErrNotRunning))
		return
	}
	answer(c.server, m, func(ctx context.Context, o questionOrder) (any, error) {
		body, err := c.sys.Ask(ctx, o.Path, o.About, o.Args)
		return questionAnswer{body}, err
	})
}

// selfInstance is the actor whose process this is, or nil in the root.
func (s *System) selfInstance() *Instance {
	if s.self == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.entries[s.self.path]; e != nil {
		return e.inst
	}
	return nil
}
