package actor

import (
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/seal"
)

// Role is an actor to be run: a kind and its constructor's arguments. It is
// what a supervisor's child runs. Make it with [Kind.With].
type Role struct{ role port.Role }

// With returns an actor of the kind with these arguments, for a supervisor's
// child to run. The supervisor encodes args once, when it checks the child, and
// starts every incarnation from the encoded form: the caller may change what
// args refers to as soon as the child is checked.
func (k *Kind[K, A]) With(args A) Role {
	return Role{port.Role{Kind: k.kind, Args: args, Encode: func(b *codec.Buffer) error {
		return new(codec.Codec[A]).EncodeArgs(b, &args, false)
	}}}
}

// Runnable makes a Role a supervisor.Runnable. It returns what the runtime makes
// incarnations from.
func (r Role) Runnable(seal.Seal) any { return r.role }
