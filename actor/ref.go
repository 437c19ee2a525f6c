package actor

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/google/uuid"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
)

// Ref is a reference to an actor of kind K: a path that follows restarts, or
// one incarnation if pinned. It is a small value, may be compared with ==, and
// travels as a field of any message. The zero Ref refers to no actor.
type Ref[K any] struct{ to address }

// address is the untyped part of a reference.
type address struct {
	to  port.Target // nil: no actor
	pin Incarnation // zero: the actor's current life
}

// target is what to send to: never nil.
func (a address) target() port.Target {
	if a.to == nil {
		return unbound{}
	}
	return a.to
}

// Ref returns a reference to the actor id of the scope: relative ("hits",
// "media/decoder-1") or absolute ("/media/decoder-1"). An unknown path is
// reported at the first send: see [Kind.Lookup].
func (k *Kind[K, A]) Ref(scope Scope, id string) Ref[K] {
	if scope == nil || scope.System() == nil {
		return Ref[K]{address{to: unbound{joinPath("/", id), k.kind.Name}}}
	}
	return Ref[K]{address{to: scope.System().Target(joinPath(scope.Path(), id), k.kind.Name)}}
}

// Lookup is Ref with a check: it fails when the path is known here
// to be of another kind, or unknown where it would have to be known. Paths below
// another process are found out at the first send.
func (k *Kind[K, A]) Lookup(scope Scope, id string) (Ref[K], error) {
	r := k.Ref(scope, id)
	sys := r.to.to.System()
	if sys == nil {
		return Ref[K]{}, fmt.Errorf("reference to %q: %w", id, ErrUnbound)
	}
	if err := sys.Check(r.Path(), k.kind.Name); err != nil {
		return Ref[K]{}, err
	}
	return r, nil
}

func joinPath(base, id string) string {
	if strings.HasPrefix(id, "/") {
		return path.Clean(id)
	}
	return path.Join("/", base, id)
}

// Path returns the path of the actor.
func (r Ref[K]) Path() string { return r.to.target().Path() }

// IsZero reports whether r is the zero Ref.
func (r Ref[K]) IsZero() bool { return r.to.to == nil }

// Pinned returns the incarnation that r is fixed to, if it is.
func (r Ref[K]) Pinned() (Incarnation, bool) { return r.to.pin, r.to.pin != uuid.Nil }

// String returns the path, with the incarnation if it is pinned.
func (r Ref[K]) String() string {
	if r.to.pin != uuid.Nil {
		return r.Path() + "@" + r.to.pin.String()
	}
	return r.Path()
}

// Pin returns a reference fixed to the incarnation that plays the role now,
// waiting for one until ctx ends. Messages to it fail with ErrNotRunning when
// that incarnation is gone.
func (r Ref[K]) Pin(ctx context.Context) (Ref[K], error) {
	if r.to.pin != uuid.Nil {
		return r, nil
	}
	inc, err := r.to.target().Incarnation(ctx)
	if err != nil {
		return r, fmt.Errorf("pinning %s: %w", r.Path(), err)
	}
	r.to.pin = inc
	return r, nil
}

// EncodeMsgpack makes the reference a field of any message: [path, kind,
// incarnation or ""].
func (r Ref[K]) EncodeMsgpack(enc *msgpack.Encoder) error { return r.to.encode(enc) }

// DecodeMsgpack binds the reference to the system that the message came by.
func (r *Ref[K]) DecodeMsgpack(dec *msgpack.Decoder) error { return r.to.decode(dec) }

var (
	_ msgpack.CustomEncoder = Ref[int]{}
	_ msgpack.CustomDecoder = (*Ref[int])(nil)
)

func (a address) encode(enc *msgpack.Encoder) error {
	if a.to == nil {
		return enc.EncodeNil()
	}
	if err := enc.EncodeArrayLen(3); err != nil {
		return err
	}
	pin := ""
	if a.pin != uuid.Nil {
		pin = a.pin.String()
	}
	for _, s := range [...]string{a.to.Path(), a.to.Kind(), pin} {
		if err := enc.EncodeString(s); err != nil {
			return err
		}
	}
	return nil
}

func (a *address) decode(dec *msgpack.Decoder) error {
	n, err := dec.DecodeArrayLen()
	if err != nil {
		return err
	}
	*a = address{}
	if n < 0 {
		return nil
	}
	if n != 3 {
		return fmt.Errorf("reference of %d elements, want 3", n)
	}
	var s [3]string
	for i := range s {
		if s[i], err = dec.DecodeString(); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(s[0], "/") || len(s[0]) > maxPath || path.Clean(s[0]) != s[0] {
		return fmt.Errorf("reference to %.80q: not a path", s[0])
	}
	if s[2] != "" {
		if a.pin, err = uuid.Parse(s[2]); err != nil {
			return fmt.Errorf("reference to %s: %w", s[0], err)
		}
	}
	if src, ok := dec.Buffered().(*codec.Source); ok {
		if sys, ok := src.Context.(port.System); ok {
			a.to = sys.Target(s[0], s[1])
			return nil
		}
	}
	a.to = unbound{s[0], s[1]}
	return nil
}

// maxPath bounds a path in bytes.
const maxPath = 4096
