package runtime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/wire"
)

// An error crosses the boundary as its text, the names of the sentinels that
// it wraps, and, if it holds one, the report of an actor's end or the error that
// another actor had answered with. In-process it goes the same way.

type wireError struct {
	Text  string        `msgpack:"text"`
	Is    []string      `msgpack:"is,omitempty"`
	Errno int           `msgpack:"errno,omitempty"`
	Stack string        `msgpack:"stack,omitempty"` // of a panic, whose text is Text
	Exit  *wireExitCase `msgpack:"exit,omitempty"`

	Remote *wireRemote `msgpack:"remote,omitempty"`

	// Of an exception in another language.
	Type      string `msgpack:"type,omitempty"`
	Traceback string `msgpack:"traceback,omitempty"`
}

// wireRemote is what another actor had answered.
type wireRemote struct {
	Path   string     `msgpack:"path"`
	Method string     `msgpack:"method"`
	Err    *wireError `msgpack:"err"`
}

type wireExitCase struct {
	Down  wireDown `msgpack:"down"`
	Begun int      `msgpack:"begun"`
}

var wellKnown = map[string]error{
	"context.Canceled":         context.Canceled,
	"context.DeadlineExceeded": context.DeadlineExceeded,
	"os.ErrDeadlineExceeded":   os.ErrDeadlineExceeded,
	"io.EOF":                   io.EOF,
	"io.ErrUnexpectedEOF":      io.ErrUnexpectedEOF,
	"io.ErrClosedPipe":         io.ErrClosedPipe,
	"io.ErrShortWrite":         io.ErrShortWrite,
	"io.ErrShortBuffer":        io.ErrShortBuffer,
	"io.ErrNoProgress":         io.ErrNoProgress,
	"fs.ErrInvalid":            fs.ErrInvalid,
	"fs.ErrPermission":         fs.ErrPermission,
	"fs.ErrExist":              fs.ErrExist,
	"fs.ErrNotExist":           fs.ErrNotExist,
	"fs.ErrClosed":             fs.ErrClosed,
	"errors.ErrUnsupported":    errors.ErrUnsupported,
	"actor.ErrMailboxFull":     actor.ErrMailboxFull,
	"actor.ErrNotRunning":      actor.ErrNotRunning,
	"actor.ErrStopped":         actor.ErrStopped,
	"actor.ErrStopping":        actor.ErrStopping,
	"actor.ErrNotFound":        actor.ErrNotFound,
	"actor.ErrNameTaken":       actor.ErrNameTaken,
	"actor.ErrTooLarge":        actor.ErrTooLarge,
	"actor.ErrTooDeep":         actor.ErrTooDeep,
	"actor.ErrTooManyElements": actor.ErrTooManyElements,
	"actor.ErrTooManySegments": actor.ErrTooManySegments,
	"actor.ErrCallCycle":       actor.ErrCallCycle,
	"actor.ErrKindMismatch":    actor.ErrKindMismatch,
	"actor.ErrUnknown":         actor.ErrUnknown,
	"actor.ErrLost":            actor.ErrLost,
	"actor.ErrIgnore":          actor.ErrIgnore,
	"actor.ErrDoNotRestart":    actor.ErrDoNotRestart,
	"actor.ErrDuplicate":       actor.ErrDuplicate,
	"actor.ErrUnbound":         actor.ErrUnbound,
	"mailbox.ErrProtocol":      wire.ErrProtocol,
}

// limits of what an error may carry over the boundary, in bytes and levels.
const (
	maxErrorText  = 16 << 10
	maxStack      = 256 << 10
	maxErrorDepth = 4
)

func toWireError(err error, depth int) *wireError {
	if err == nil {
		return nil
	}
	w := &wireError{Text: cut(err.Error(), maxErrorText)}
	for name, s := range wellKnown {
		if errors.Is(err, s) {
			w.Is = append(w.Is, name)
		}
	}
	for _, s := range port.Sentinels() {
		if errors.Is(err, s.Err) {
			w.Is = append(w.Is, s.Name)
		}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		w.Errno = int(errno)
	}
	if r, ok := err.(*actor.RemoteError); ok {
		w.Type, w.Traceback = cut(r.Type, maxErrorText), cut(r.Traceback, maxStack)
	}
	if p, ok := err.(*actor.PanicError); ok {
		w.Stack = cut(p.Stack, maxStack)
	}
	var x *actor.ExitError
	if depth < maxErrorDepth && errors.As(err, &x) {
		w.Exit = &wireExitCase{Begun: int(x.Begun), Down: toWireDown(actor.Down{Path: x.Path, PID: x.PID, Incarnation: x.Incarnation,
			ExitStatus: x.ExitStatus}, depth+1)}
	}
	if r := remoteIn(err); depth < maxErrorDepth && r != nil {
		w.Remote = &wireRemote{Path: r.Path, Method: r.Method, Err: toWireError(anonymous(r), depth+1)}
	}
	return w
}

// anonymous is what an actor answered, without who it was.
func anonymous(r *actor.RemoteError) *actor.RemoteError {
	return &actor.RemoteError{Text: r.Text, Causes: r.Causes, Type: r.Type, Traceback: r.Traceback}
}

// remoteIn finds what another actor had answered.
func remoteIn(err error) *actor.RemoteError {
	var r *actor.RemoteError
	for errors.As(err, &r) {
		if r.Path != "" {
			return r
		}
		err = errors.Join(r.Causes...)
	}
	return nil
}

// carried is err as it would arrive from a process: what an actor says of its
// end is the same in both modes.
func carried(err error, path string) error {
	if err == nil {
		return nil
	}
	return withPath(toWireError(withoutPath(err), 0).error(), path)
}

// withPath puts the actor's path on what it said of its own end; withoutPath takes it off.
func withPath(err error, path string) error {
	if r, ok := err.(*actor.RemoteError); ok {
		r.Path, r.Method = path, ""
	}
	return err
}

func withoutPath(err error) error {
	if r, ok := err.(*actor.RemoteError); ok && r.Method == "" {
		b := anonymous(r)
		b.Value = r.Value
		return b
	}
	return err
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + " [cut]"
}

// error rebuilds the error.
func (w *wireError) error() *actor.RemoteError {
	if w == nil {
		return nil
	}
	e := &actor.RemoteError{Text: w.Text, Type: w.Type, Traceback: w.Traceback}
	sentinels := port.Sentinels()
	for _, name := range w.Is {
		if s, ok := wellKnown[name]; ok {
			e.Causes = append(e.Causes, s)
			continue
		}
		for _, s := range sentinels {
			if name == s.Name {
				e.Causes = append(e.Causes, s.Err)
			}
		}
	}
	if w.Stack != "" {
		e.Causes = append(e.Causes, &actor.PanicError{Text: w.Text, Stack: w.Stack})
	}
	if w.Errno != 0 {
		e.Causes = append(e.Causes, syscall.Errno(w.Errno))
	}
	if w.Exit != nil {
		d := w.Exit.Down.down()
		e.Causes = append(e.Causes, exitErrorOf(d.Path, d.PID, d.Incarnation, d.ExitStatus, actor.Begun(min(max(w.Exit.Begun, 0), 2))))
	}
	if w.Remote != nil {
		r := w.Remote.Err.error()
		if r == nil {
			r = &actor.RemoteError{}
		}
		r.Path, r.Method = w.Remote.Path, w.Remote.Method
		e.Causes = append(e.Causes, r)
	}
	return e
}

func toWireExit(x actor.ExitStatus, depth int) wireExit {
	return wireExit{x, toWireError(withoutPath(x.Err), depth+1)}
}

func (w wireExit) exit() actor.ExitStatus {
	x := w.ExitStatus
	if x.Reason < 0 || x.Reason > actor.ReasonDeadline {
		x.Reason = actor.ReasonProtocol
	}
	if w.Error != nil {
		x.Err = w.Error.error()
	}
	return x
}

// EncodeExit encodes an exit status for another process of the system.
func EncodeExit(x actor.ExitStatus) []byte { return codec.EncodeControl(toWireExit(x, 0)) }

// DecodeExit decodes what EncodeExit encoded.
func DecodeExit(raw []byte) (actor.ExitStatus, error) {
	var w wireExit
	if err := codec.DecodeResult(raw, &w); err != nil {
		return actor.ExitStatus{}, err
	}
	return w.exit(), nil
}

func toWireDown(d actor.Down, depth int) wireDown {
	return wireDown{Path: d.Path, PID: d.PID, Incarnation: d.Incarnation.String(), Exit: toWireExit(d.ExitStatus, depth)}
}

func (w wireDown) down() actor.Down {
	inc, _ := uuid.Parse(w.Incarnation) // a nil id for what is none
	x := w.Exit.exit()
	x.Err = withPath(x.Err, w.Path)
	return actor.Down{Path: w.Path, PID: w.PID, Incarnation: inc, ExitStatus: x}
}

func toWireEvent(e actor.Event) wireEvent {
	w := wireEvent{Time: e.Time.UnixNano(), Type: string(e.Type), Path: e.Path, Kind: e.Kind, PID: e.PID,
		Err: toWireError(e.Err, 0), Method: e.Method, Sender: e.Sender, Detail: e.Detail, Series: e.Series}
	if e.Incarnation != uuid.Nil {
		w.Incarnation = e.Incarnation.String()
	}
	if e.Exit != nil {
		x := toWireExit(*e.Exit, 0)
		w.Exit = &x
	}
	return w
}

func (w wireEvent) event() actor.Event {
	e := actor.Event{Time: time.Unix(0, w.Time), Type: actor.EventType(w.Type), Path: w.Path, Kind: w.Kind, PID: w.PID,
		Method: w.Method, Sender: w.Sender, Detail: w.Detail, Series: w.Series}
	e.Incarnation, _ = uuid.Parse(w.Incarnation)
	if w.Err != nil {
		e.Err = w.Err.error()
	}
	if w.Exit != nil {
		x := w.Exit.exit()
		x.Err = withPath(x.Err, w.Path)
		e.Exit = &x
	}
	return e
}

// encodeRemote encodes a handler's error for the caller.
func encodeRemote(err error) []byte {
	return codec.EncodeControl(toWireError(err, 0))
}

// decodeRemote rebuilds what a handler, here or in a program in another
// language, answered as its error.
func decodeRemote(path, method string, raw []byte) error {
	var w wireError
	if hasText(raw) && codec.DecodeResult(raw, &w) == nil {
		e := w.error()
		e.Path, e.Method = path, method
		return e
	}
	e := &actor.RemoteError{Path: path, Method: method}
	if err := codec.DecodeResult(raw, &e.Value); err != nil {
		e.Text = fmt.Sprintf("an error that cannot be decoded: %v", err)
		return e
	}
	e.Text = foreignText(e.Value)
	return e
}

// hasText tells an error of ours, whose text may be empty, from other maps.
func hasText(raw []byte) (yes bool) {
	err := wire.ReadFields(raw, func(key string, f *wire.Field) {
		if key == "text" {
			_ = f.String()
			yes = true
		}
	})
	return yes && err == nil
}

// foreignText finds the words in a foreign peer's error value: a string, or
// the [code, text] that is customary in MessagePack-RPC.
func foreignText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []byte:
		return string(v)
	case []any:
		for _, x := range v {
			if s, ok := x.(string); ok {
				return s
			}
		}
	}
	return fmt.Sprint(v)
}

func exitErrorOf(path string, pid int, inc actor.Incarnation, x actor.ExitStatus, begun actor.Begun) *actor.ExitError {
	return &actor.ExitError{ExitStatus: x, Path: path, PID: pid, Incarnation: inc, Begun: begun}
}
