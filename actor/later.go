package actor

import (
	"context"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
)

// Pending is a reply to be given later, after the handler has returned and
// while others run.
type Pending[Resp any] struct{ inv port.Invocation }

// Later takes the reply of the request that ctx belongs to out of the
// handler's hands: the handler returns r.Pending(), and r.Reply is called
// exactly once, from anywhere in the process. The request's ctx and arrays
// stay valid until then. It panics outside of a handler.
func Later[Resp any](ctx context.Context) *Pending[Resp] {
	inv, ok := ctx.Value(port.ContextKey{}).(port.Invocation)
	if !ok {
		panic("actor.Later: the context does not belong to a handler")
	}
	inv.Later()
	return &Pending[Resp]{inv}
}

// Pending is what the handler returns.
func (p *Pending[Resp]) Pending() (Resp, error) {
	var zero Resp
	return zero, port.ErrPending
}

// Reply answers the request. A second reply is [ErrDuplicate]. If v cannot travel
// the caller gets the error that Reply returns.
func (p *Pending[Resp]) Reply(v Resp, err error) error {
	var coding codec.Codec[Resp]
	return answer(p.inv, &coding, &v, err)
}
