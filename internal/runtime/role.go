package runtime

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/seal"
	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
)

// EncodedRole is a role with encoded arguments and its settings: all that is
// needed to launch one incarnation after the other. Supervisors work with it.
type EncodedRole struct {
	kind     *port.Kind
	settings Settings
	args     *arguments
}

// RoleOf is what role keeps from its users.
func RoleOf(role actor.Role) port.Role { return role.Runnable(seal.Seal{}).(port.Role) }

// EncodeRole checks the role and encodes its arguments, which may have
// maxMessage bytes (0: the default). It reports every fault that is known
// without starting. The caller releases the role when nothing will be
// launched from it any more.
func EncodeRole(role actor.Role, s Settings, maxMessage int) (EncodedRole, error) {
	return EncodePort(RoleOf(role), s, maxMessage)
}

// EncodePort is EncodeRole for a role that was none of the user's.
func EncodePort(r port.Role, s Settings, maxMessage int) (EncodedRole, error) {
	if r.Kind == nil {
		return EncodedRole{}, errors.New("a Role without a kind: make it with Kind.With")
	}
	var errs []error
	here, external := r.Kind.Backend != nil, r.Kind.External != nil
	if !here && !external {
		errs = append(errs, fmt.Errorf("kind %q has no backend in this program: import the package that implements it", r.Kind.Name))
	}
	if s.InProcess && external {
		errs = append(errs, fmt.Errorf("kind %q is another executable and cannot run in-process", r.Kind.Name))
	}
	if maxMessage == 0 {
		maxMessage = wire.DefaultMaxMessage
	}
	args, err := encodeArguments(r, maxMessage)
	if err = errors.Join(append(errs, err)...); err != nil {
		args.release()
		return EncodedRole{}, err
	}
	return EncodedRole{kind: r.Kind, settings: s, args: args}, nil
}

// Kind returns the name of the kind.
func (b EncodedRole) Kind() string { return b.kind.Name }

// Settings returns what incarnations are launched with.
func (b EncodedRole) Settings() Settings { return b.settings }

// Release lets go of the arrays among the arguments. Incarnations launched
// before hold them for themselves.
func (b EncodedRole) Release() { b.args.release() }

// arguments are a constructor's encoded arguments. They are never changed; the
// segments are held until release.
type arguments struct {
	bytes    []byte
	segments []*segment.Segment
}

func encodeArguments(r port.Role, maxMessage int) (*arguments, error) {
	buf := &codec.Buffer{Limits: wire.Limits{Bytes: maxMessage}}
	if err := r.Encode(buf); err != nil {
		buf.Reset()
		if field := faultyField(reflect.ValueOf(r.Args), maxMessage, 0); field != "" {
			return nil, fmt.Errorf("arguments of kind %q: field %s: %w", r.Kind.Name, field, err)
		}
		return nil, fmt.Errorf("arguments of kind %q: %w", r.Kind.Name, err)
	}
	return &arguments{bytes: buf.B, segments: buf.TakeSegments(nil)}, nil
}

// share returns the arguments with holds of their own, for one incarnation.
func (a *arguments) share() *arguments {
	for _, s := range a.segments {
		s.Retain()
	}
	return &arguments{bytes: a.bytes, segments: a.segments}
}

// release gives the holds back, once. It takes a nil a.
func (a *arguments) release() {
	if a == nil {
		return
	}
	for _, s := range a.segments {
		s.Release()
	}
	a.segments = nil
}

// maxFieldDepth bounds how deep the field that cannot be encoded is named. A
// value that contains itself has no end.
const maxFieldDepth = 8

// faultyField returns the path of the innermost part of v that cannot be
// encoded on its own, such as "Model.Weights[3]"; "" if no part is to blame.
func faultyField(v reflect.Value, maxMessage, depth int) string {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	if !v.IsValid() || depth > maxFieldDepth {
		return ""
	}
	try := func(name string, part reflect.Value) (string, bool) {
		if !part.CanInterface() {
			return "", false
		}
		buf := &codec.Buffer{Limits: wire.Limits{Bytes: maxMessage}}
		defer buf.Reset()
		if codec.Encode(buf, part.Interface(), false) == nil {
			return "", false
		}
		inner := faultyField(part, maxMessage, depth+1)
		if inner != "" && inner[0] != '[' {
			inner = "." + inner
		}
		return name + inner, true
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Tag.Get("msgpack") == "-" {
				continue
			}
			if path, bad := try(f.Name, v.Field(i)); bad {
				return path
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if path, bad := try("["+strconv.Itoa(i)+"]", v.Index(i)); bad {
				return path
			}
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			if path, bad := try(fmt.Sprintf("[%v]", it.Key()), it.Value()); bad {
				return path
			}
		}
	}
	return ""
}
