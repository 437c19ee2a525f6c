package actor

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

	"github.com/understudy-go/understudy/internal/codec"
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
	"actor.ErrMailboxFull":     ErrMailboxFull,
	"actor.ErrNotRunning":      ErrNotRunning,
	"actor.ErrStopped":         ErrStopped,
	"actor.ErrStopping":        ErrStopping,
	"actor.ErrNotFound":        ErrNotFound,
	"actor.ErrNameTaken":       ErrNameTaken,
	"actor.ErrTooLarge":        ErrTooLarge,
	"actor.ErrTooDeep":         ErrTooDeep,
	"actor.ErrTooManyElements": ErrTooManyElements,
	"actor.ErrTooManySegments": ErrTooManySegments,
	"actor.ErrCallCycle":       ErrCallCycle,
	"actor.ErrKindMismatch":    ErrKindMismatch,
	"actor.ErrUnknown":         ErrUnknown,
	"actor.ErrLost":            ErrLost,
	"actor.ErrIgnore":          ErrIgnore,
	"actor.ErrDoNotRestart":    ErrDoNotRestart,
	"actor.ErrDuplicate":       ErrDuplicate,
	"actor.ErrUnbound":         ErrUnbound,
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
	for _, s := range allSentinels() {
		if errors.Is(err, s.err) {
			w.Is = append(w.Is, s.name)
		}
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		w.Errno = int(errno)
	}
	if p, ok := err.(*PanicError); ok {
		w.Stack = cut(p.Stack, maxStack)
	}
	var x *ExitError
	if depth < maxErrorDepth && errors.As(err, &x) {
		w.Exit = &wireExitCase{Begun: int(x.Begun), Down: toWireDown(Down{Path: x.Path, PID: x.PID, Incarnation: x.Incarnation,
			ExitStatus: ExitStatus{Reason: x.Reason, Code: x.Code, Signal: x.Signal, Err: x.Err, Stdout: x.Stdout, Stderr: x.Stderr}}, depth+1)}
	}
	if r := remoteIn(err); depth < maxErrorDepth && r != nil {
		w.Remote = &wireRemote{Path: r.Path, Method: r.Method, Err: toWireError(&RemoteError{Text: r.Text, Causes: r.Causes}, depth+1)}
	}
	return w
}

// remoteIn finds what another actor had answered.
func remoteIn(err error) *RemoteError {
	var r *RemoteError
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
	return own(toWireError(word(err), 0).error(), path)
}

// own puts the actor's path on what it said of its own end; word takes it off.
func own(err error, path string) error {
	if r, ok := err.(*RemoteError); ok {
		r.Path, r.Method = path, ""
	}
	return err
}

func word(err error) error {
	if r, ok := err.(*RemoteError); ok && r.Method == "" {
		return &RemoteError{Text: r.Text, Value: r.Value, Causes: r.Causes}
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
func (w *wireError) error() *RemoteError {
	if w == nil {
		return nil
	}
	e := &RemoteError{Text: w.Text}
	sentinels := allSentinels()
	for _, name := range w.Is {
		if s, ok := wellKnown[name]; ok {
			e.Causes = append(e.Causes, s)
			continue
		}
		for _, s := range sentinels {
			if name == s.name {
				e.Causes = append(e.Causes, s.err)
			}
		}
	}
	if w.Stack != "" {
		e.Causes = append(e.Causes, &PanicError{Text: w.Text, Stack: w.Stack})
	}
	if w.Errno != 0 {
		e.Causes = append(e.Causes, syscall.Errno(w.Errno))
	}
	if w.Exit != nil {
		d := w.Exit.Down.down()
		e.Causes = append(e.Causes, exitErrorOf(d.Path, d.PID, d.Incarnation, d.ExitStatus, Begun(min(max(w.Exit.Begun, 0), 2))))
	}
	if w.Remote != nil {
		r := w.Remote.Err.error()
		if r == nil {
			r = &RemoteError{}
		}
		r.Path, r.Method = w.Remote.Path, w.Remote.Method
		e.Causes = append(e.Causes, r)
	}
	return e
}

func toWireExit(x ExitStatus, depth int) wireExit {
	return wireExit{Reason: int(x.Reason), Code: x.Code, Signal: int(x.Signal), Err: toWireError(word(x.Err), depth+1),
		Stdout: x.Stdout, Stderr: x.Stderr, DoNotRestart: x.DoNotRestart}
}

func (w wireExit) exit() ExitStatus {
	x := ExitStatus{Reason: Reason(w.Reason), Code: w.Code, Signal: syscall.Signal(w.Signal), Stdout: w.Stdout, Stderr: w.Stderr, DoNotRestart: w.DoNotRestart}
	if w.Reason < 0 || w.Reason >= len(reasonNames) {
		x.Reason = ReasonProtocol
	}
	if w.Err != nil {
		x.Err = w.Err.error()
	}
	return x
}

func toWireDown(d Down, depth int) wireDown {
	return wireDown{Path: d.Path, PID: d.PID, Incarnation: d.Incarnation.String(), Exit: toWireExit(d.ExitStatus, depth)}
}

func (w wireDown) down() Down {
	inc, _ := uuid.Parse(w.Incarnation) // a nil id for what is none
	x := w.Exit.exit()
	x.Err = own(x.Err, w.Path)
	return Down{Path: w.Path, PID: w.PID, Incarnation: inc, ExitStatus: x}
}

func toWireEvent(e Event) wireEvent {
	w := wireEvent{Time: e.Time.UnixNano(), Type: string(e.Type), Path: e.Path, Kind: e.Kind, PID: e.PID,
		Err: toWireError(e.Err, 0), Method: e.Method, Sender: e.Sender, Detail: e.Detail}
	if e.Incarnation != uuid.Nil {
		w.Incarnation = e.Incarnation.String()
	}
	if e.Exit != nil {
		x := toWireExit(*e.Exit, 0)
		w.Exit = &x
	}
	return w
}

func (w wireEvent) event() Event {
	e := Event{Time: time.Unix(0, w.Time), Type: EventType(w.Type), Path: w.Path, Kind: w.Kind, PID: w.PID,
		Method: w.Method, Sender: w.Sender, Detail: w.Detail}
	e.Incarnation, _ = uuid.Parse(w.Incarnation)
	if w.Err != nil {
		e.Err = w.Err.error()
	}
	if w.Exit != nil {
		x := w.Exit.exit()
		x.Err = own(x.Err, w.Path)
		e.Exit = &x
	}
	return e
}

// encodeRemote encodes a handler's error for the caller.
func encodeRemote(_ *kindCore, err error) []byte {
	return codec.EncodeControl(toWireError(err, 0))
}

// decodeRemote rebuilds what a handler, here or in a program in another
// language, answered as its error.
func decodeRemote(_ *kindCore, path, method string, raw []byte) error {
	var w wireError
	if hasText(raw) && codec.DecodeResult(raw, &w) == nil {
		e := w.error()
		e.Path, e.Method = path, method
		return e
	}
	e := &RemoteError{Path: path, Method: method}
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
