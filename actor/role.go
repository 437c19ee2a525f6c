package actor

import (
	"github.com/understudy-go/understudy/internal/seal"
	"github.com/understudy-go/understudy/mailbox"
)

// Role is an actor to be run: a kind and its constructor's arguments. It is
// what a supervisor's child runs. Make it with [Kind.With].
type Role struct {
	kind   *kindCore
	args   any // for errors that name a field
	encode func(*mailbox.Buffer) error
}

// With returns an actor of the kind with these arguments, for a supervisor's
// child to run. The supervisor encodes args once, when it checks the child, and
// starts every incarnation from the encoded form: the caller may change what
// args refers to as soon as the child is checked.
func (k *Kind[K, A]) With(args A) Role {
	return Role{kind: k.core, args: args, encode: func(b *mailbox.Buffer) error {
		return mailbox.EncodeArgs(b, args, false)
	}}
}

// Kind returns the name of the role's kind.
func (r Role) Kind() string {
	if r.kind == nil {
		return ""
	}
	return r.kind.name
}

// Runnable makes a Role a supervisor.Runnable.
func (Role) Runnable(seal.Seal) {}
