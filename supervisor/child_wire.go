package supervisor

import (
	"errors"
	"fmt"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/wire"
)

// wireChild is a child's spec on its way to a supervisor in another process.
// What is encoded of its actor is what its process would be given.
type wireChild struct {
	Name         string
	Kind         string
	Args         []byte
	Own          bool      // a supervisor [Kind]'s
	Spec         *wireSpec // not nil: a nested supervisor
	Restart      int
	Significant  bool
	Backoff      Backoff
	StartTimeout time.Duration
	StopTimeout  time.Duration
	Drain        bool
	Watchdog     time.Duration
	InProcess    bool
	ReadyGrace   time.Duration
	Mailbox      actor.Mailbox
	Process      actor.Process
}

type wireSpec struct {
	Strategy     int
	Intensity    int
	Period       time.Duration
	AutoShutdown int
	Parallel     int
	Children     []wireChild
	Defaults     wireChild
}

// settings is what of a child travels without more ado.
func (c Child) toWireSettings() wireChild {
	return wireChild{Name: c.Name, Restart: int(c.Restart), Significant: c.Significant, Backoff: c.Backoff, StartTimeout: c.StartTimeout,
		StopTimeout: c.StopTimeout, Drain: c.Drain, Watchdog: c.Watchdog, InProcess: c.InProcess, ReadyGrace: c.ReadyGrace,
		Mailbox: c.Mailbox, Process: c.Process}
}

func (w wireChild) settings() Child {
	return Child{Name: w.Name, Restart: Restart(w.Restart), Significant: w.Significant, Backoff: w.Backoff, StartTimeout: w.StartTimeout,
		StopTimeout: w.StopTimeout, Drain: w.Drain, Watchdog: w.Watchdog, InProcess: w.InProcess, ReadyGrace: w.ReadyGrace,
		Mailbox: w.Mailbox, Process: w.Process}
}

// toWire encodes a child for another process, where max bounds a message.
func (c Child) toWire(max int) (*wireChild, error) {
	settings := c.toWireSettings()
	w := &settings
	var r port.Role
	switch b := bodyOf(c.Run).(type) {
	case actorBody:
		r = b.role
	case ownBody:
		r, w.Own = b.role, true
	case nestedBody:
		sp := b.spec
		w.Spec = &wireSpec{Strategy: int(sp.Strategy), Intensity: sp.Intensity, Period: sp.Period, AutoShutdown: int(sp.AutoShutdown),
			Parallel: sp.Parallel, Defaults: sp.Defaults.toWireSettings()}
		for _, below := range b.spec.Children {
			x, err := below.toWire(max)
			if err != nil {
				return nil, err
			}
			w.Spec.Children = append(w.Spec.Children, *x)
		}
		return w, nil
	default:
		return nil, fmt.Errorf("%w: child %q: Run is %T, which a supervisor in another process cannot be given", ErrBadSpec, c.Name, c.Run)
	}
	if r.Kind == nil {
		return nil, fmt.Errorf("%w: child %q: a Role without a kind", ErrBadSpec, c.Name)
	}
	buf := &codec.Buffer{Limits: wire.Limits{Bytes: max}}
	if err := r.Encode(buf); err != nil {
		buf.Reset()
		return nil, fmt.Errorf("%w: child %q: arguments of kind %q: %w", ErrBadSpec, c.Name, r.Kind.Name, err)
	}
	arrays := buf.TakeSegments(nil)
	for _, s := range arrays {
		s.Release()
	}
	if len(arrays) > 0 {
		return nil, fmt.Errorf("%w: child %q: its arguments have arrays, which a supervisor in another process cannot be given", ErrBadSpec, c.Name)
	}
	w.Kind, w.Args = r.Kind.Name, buf.B
	return w, nil
}

// child is what toWire encoded.
func (w *wireChild) child() (Child, error) {
	if w == nil {
		return Child{}, errors.New("no child")
	}
	c := w.settings()
	if w.Spec != nil {
		sp := Spec{Strategy: Strategy(w.Spec.Strategy), Intensity: w.Spec.Intensity, Period: w.Spec.Period,
			AutoShutdown: AutoShutdown(w.Spec.AutoShutdown), Parallel: w.Spec.Parallel, Defaults: w.Spec.Defaults.settings()}
		for _, x := range w.Spec.Children {
			below, err := x.child()
			if err != nil {
				return c, err
			}
			sp.Children = append(sp.Children, below)
		}
		c.Run = sp
		return c, nil
	}
	kind, err := port.KindByName(w.Kind)
	if err != nil {
		return c, err
	}
	role := port.Role{Kind: kind, Encode: func(b *codec.Buffer) error {
		b.B = append(b.B, w.Args...)
		return nil
	}}
	if c.Run = (actorBody{role}); w.Own {
		c.Run = ownBody{role}
	}
	return c, nil
}
