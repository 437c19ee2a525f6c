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
// it wraps, and, if it holds one, the report of an actor's end.

type wireError struct {
	Text  string        `msgpack:"text"`
	Is    []string      `msgpack:"is,omitempty"`
	Errno int           `msgpack:"errno,omitempty"`
	Stack string        `msgpack:"stack,omitempty"` // of a panic, whose text is Text
	Exit  *wireExitCase `msgpack:"exit,omitempty"`
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

func toWireError(err error, sentinels []error, depth int) *wireError {
	if err == nil {
		return nil
	}
	w := &wireError{Text: cut(err.Error(), maxErrorText)}
	for name, s := range wellKnown {
		if errors.Is(err, s) {
			w.Is = append(w.Is, name)
		}
	}
	if sentinels == nil {
		sentinels = allSentinels()
	}
	for _, s := range sentinels {
		if errors.Is(err, s) {
			w.Is = append(w.Is, "="+s.Error())
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
	return w
}

func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	return strings.ToValidUTF8(s[:n], "") + " [cut]"
}

// error rebuilds the error; sentinels are those of the kind.
func (w *wireError) error(sentinels []error) *RemoteError {
	if w == nil {
		return nil
	}
	e := &RemoteError{Text: w.Text}
	if sentinels == nil {
		sentinels = allSentinels()
	}
	for _, name := range w.Is {
		if s, ok := wellKnown[name]; ok {
			e.Causes = append(e.Causes, s)
			continue
		}
		for _, s := range sentinels {
			if name == "="+s.Error() {
				e.Causes = append(e.Causes, s)
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
	return e
}

func toWireExit(x ExitStatus, depth int) wireExit {
	return wireExit{Reason: int(x.Reason), Code: x.Code, Signal: int(x.Signal), Err: toWireError(x.Err, nil, depth+1),
		Stdout: x.Stdout, Stderr: x.Stderr, DoNotRestart: x.DoNotRestart}
}

func (w wireExit) exit() ExitStatus {
	x := ExitStatus{Reason: Reason(w.Reason), Code: w.Code, Signal: syscall.Signal(w.Signal), Stdout: w.Stdout, Stderr: w.Stderr, DoNotRestart: w.DoNotRestart}
	if w.Reason < 0 || w.Reason >= len(reasonNames) {
		x.Reason = ReasonProtocol
	}
	if w.Err != nil {
		x.Err = w.Err.error(nil)
	}
	return x
}

func toWireDown(d Down, depth int) wireDown {
	return wireDown{Path: d.Path, PID: d.PID, Incarnation: d.Incarnation.String(), Exit: toWireExit(d.ExitStatus, depth)}
}

func (w wireDown) down() Down {
	inc, _ := uuid.Parse(w.Incarnation) // a nil id for what is none
	return Down{Path: w.Path, PID: w.PID, Incarnation: inc, ExitStatus: w.Exit.exit()}
}

func toWireEvent(e Event) wireEvent {
	w := wireEvent{Time: e.Time.UnixNano(), Type: string(e.Type), Path: e.Path, Kind: e.Kind, PID: e.PID,
		Err: toWireError(e.Err, nil, 0), Method: e.Method, Sender: e.Sender, Detail: e.Detail}
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
		e.Err = w.Err.error(nil)
	}
	if w.Exit != nil {
		x := w.Exit.exit()
		e.Exit = &x
	}
	return e
}

// encodeRemote encodes a handler's error for the caller.
func encodeRemote(k *kindCore, err error) []byte {
	return codec.EncodeControl(toWireError(err, k.sentinels, 0))
}

// decodeRemote rebuilds what a handler, here or in a program in another
// language, answered as its error.
func decodeRemote(k *kindCore, path, method string, raw []byte) error {
	var w wireError
	if codec.DecodeResult(raw, &w) == nil && w.Text != "" {
		e := w.error(k.sentinels)
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
