package actor

import (
	"context"
	"fmt"
	"path"
	"strings"

	"github.com/google/uuid"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/codec"
)

// Ref is a reference to an actor of kind K: a path that follows restarts, or
// one incarnation if pinned. It is a small value, may be compared with ==, and
// travels as a field of any message. The zero Ref refers to nobody.
type Ref[K any] struct{ to address }

// address is the untyped part of a reference.
type address struct {
	sys  *System
	path string
	kind string
	pin  Incarnation // zero: whoever plays the role
}

// Scope is where names are looked up: a system, a supervisor's tree, or, with
// [ScopeOf], an actor.
type Scope interface {
	System() *System
	Path() string
}

// Ref returns a reference to the actor id of the scope: relative ("hits",
// "media/decoder-1") or absolute ("/media/decoder-1"). It fails when the path
// is known here to be of another kind, or unknown where it would have to be
// known. Paths below another process are found out at the first send.
func (k *Kind[K, A]) Ref(scope Scope, id string) (Ref[K], error) {
	if scope == nil || scope.System() == nil {
		return Ref[K]{}, fmt.Errorf("reference to %q: %w", id, ErrUnbound)
	}
	p := joinPath(scope.Path(), id)
	if err := scope.System().checkPath(p, k.core.name); err != nil {
		return Ref[K]{}, err
	}
	return Ref[K]{address{sys: scope.System(), path: p, kind: k.core.name}}, nil
}

func joinPath(base, id string) string {
	if strings.HasPrefix(id, "/") {
		return path.Clean(id)
	}
	return path.Join("/", base, id)
}

// Path returns the path of the actor.
func (r Ref[K]) Path() string { return r.to.path }

// IsZero reports whether r refers to nobody.
func (r Ref[K]) IsZero() bool { return r.to.path == "" }

// Pinned returns the incarnation that r is fixed to, if it is.
func (r Ref[K]) Pinned() (Incarnation, bool) { return r.to.pin, r.to.pin != uuid.Nil }

// String returns the path, with the incarnation if it is pinned.
func (r Ref[K]) String() string {
	if r.to.pin != uuid.Nil {
		return r.to.path + "@" + r.to.pin.String()
	}
	return r.to.path
}

// Pin returns a reference fixed to the incarnation that plays the role now,
// waiting for one until ctx ends. Messages to it fail with ErrNotRunning when
// that incarnation is gone.
func (r Ref[K]) Pin(ctx context.Context) (Ref[K], error) {
	if r.to.sys == nil {
		return r, ErrUnbound
	}
	if r.to.pin != uuid.Nil {
		return r, nil
	}
	inc, err := r.to.sys.client(r.to).incarnation(ctx)
	if err != nil {
		return r, fmt.Errorf("pinning %s: %w", r.to.path, err)
	}
	r.to.pin = inc
	return r, nil
}

// wireRef is a reference on the wire: [path, kind, incarnation or ""].
func (r Ref[K]) EncodeMsgpack(enc *msgpack.Encoder) error { return r.to.encode(enc) }

// DecodeMsgpack binds the reference to the system that the message came by.
func (r *Ref[K]) DecodeMsgpack(dec *msgpack.Decoder) error { return r.to.decode(dec) }

var (
	_ msgpack.CustomEncoder = Ref[int]{}
	_ msgpack.CustomDecoder = (*Ref[int])(nil)
)

func (a address) encode(enc *msgpack.Encoder) error {
	if a.path == "" {
		return enc.EncodeNil()
	}
	if err := enc.EncodeArrayLen(3); err != nil {
		return err
	}
	pin := ""
	if a.pin != uuid.Nil {
		pin = a.pin.String()
	}
	for _, s := range [...]string{a.path, a.kind, pin} {
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
	a.path, a.kind = s[0], s[1]
	if s[2] != "" {
		if a.pin, err = uuid.Parse(s[2]); err != nil {
			return fmt.Errorf("reference to %s: %w", s[0], err)
		}
	}
	if src, ok := dec.Buffered().(*codec.Source); ok {
		a.sys, _ = src.Context.(*System)
	}
	return nil
}

// maxPath bounds a path in bytes.
const maxPath = 4096
