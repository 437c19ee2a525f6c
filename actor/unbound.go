package actor

import (
	"context"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/port"
)

// unbound is what a reference refers to that no system has seen: it was decoded
// outside of a message, or made without a scope. Its path and kind are known, and
// everything else is an [ErrUnbound].
type unbound struct{ path, kind string }

func (u unbound) Path() string        { return u.path }
func (u unbound) Kind() string        { return u.kind }
func (u unbound) System() port.System { return nil }

func (u unbound) Begin(context.Context, string, bool) (*codec.Buffer, uint32, bool, error) {
	return nil, 0, false, ErrUnbound
}

func (u unbound) Call(context.Context, string, uint32, *codec.Buffer, uuid.UUID) (conn.Reply, error) {
	return conn.Reply{}, ErrUnbound
}

func (u unbound) Go(context.Context, string, uint32, *codec.Buffer, uuid.UUID) (port.Call, error) {
	return nil, ErrUnbound
}

func (u unbound) Open(context.Context, string, uint32, *codec.Buffer, uuid.UUID) (port.Stream, error) {
	return nil, ErrUnbound
}

func (u unbound) Cast(context.Context, string, *codec.Buffer, uuid.UUID, bool) error {
	return ErrUnbound
}

func (u unbound) RemoteError(string, []byte) error { return ErrUnbound }

func (u unbound) Incarnation(context.Context) (uuid.UUID, error) { return uuid.Nil, ErrUnbound }

func (u unbound) Kill(context.Context, Incarnation) error { return ErrUnbound }

func (u unbound) Watch(_ context.Context, cursor int) (int, []Down, bool, error) {
	return cursor, nil, true, ErrUnbound
}
