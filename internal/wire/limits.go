package wire

import (
	"errors"
	"fmt"
	"math"
)

// Limits bound one value, for a [Buffer], or one message, for a [Scanner]: see
// Message. The zero value of a field means its default.
type Limits struct {
	Bytes    int // the whole value or message, in bytes; default 4 MiB
	Depth    int // arrays and maps inside each other; default 64
	Elements int // values inside arrays and maps, keys and nested ones included; default 1<<20
}

// DefaultLimits are the limits that the zero value of [Limits] stands for.
var DefaultLimits = Limits{Bytes: 4 << 20, Depth: 64, Elements: 1 << 20}

// orDefault replaces zero (and senseless negative) fields.
func (l Limits) OrDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultLimits.Bytes
	}
	if l.Depth <= 0 {
		l.Depth = DefaultLimits.Depth
	}
	if l.Elements <= 0 {
		l.Elements = DefaultLimits.Elements
	}
	return l
}

// Message returns the limits of a whole message whose value keeps to l: what is
// around a value, be it an argument list, a result or an item of a stream, does
// not count for what a user may send.
func (l Limits) Message() Limits {
	l = l.OrDefault()
	return Limits{Bytes: Plus(l.Bytes, EnvelopeBytes), Depth: Plus(l.Depth, envelopeDepth), Elements: Plus(l.Elements, envelopeElements)}
}

// plus is a sum that does not go over.
func Plus(a, b int) int { return a + min(b, math.MaxInt-a) }

// What is around a value: the envelope, the metadata, an argument list, and the
// maps of control messages that carry values.
const (
	EnvelopeBytes    = 64 << 10
	envelopeDepth    = 4
	envelopeElements = 1 << 10
)

// wayOut says what can be done about a value that breaks a limit.
func WayOut(limit error) string {
	switch limit {
	case ErrTooLarge:
		return "; send it in parts, as arrays in shared memory, or raise MaxMessage"
	case ErrTooDeep:
		return "; a value that contains itself cannot travel, and a list of nodes that refer to each other by index can"
	case ErrTooManyElements:
		return "; send it in parts, or numbers as an array in shared memory"
	}
	return ""
}

// Check tells whether raw is exactly one well-formed MessagePack value within
// the limits. The error is a [*ProtocolError].
func (l Limits) Check(raw []byte) error {
	s := Scanner{Limits: l}
	n, err := s.Frame(raw)
	if err != nil {
		return err
	}
	return Whole(n, len(raw))
}

// whole judges a first value of n bytes, 0 if it is not complete, in total bytes.
func Whole(n, total int) error {
	switch {
	case n == 0:
		return Malformed(total, "the value is cut")
	case n < total:
		return Malformed(n, "%d bytes after the value", total-n)
	}
	return nil
}

// The default bounds of a message, in bytes.
const (
	DefaultInline     = 4 << 20   // largest message that travels in the stream; larger ones travel as a segment
	DefaultMaxMessage = 256 << 20 // largest message at all
)

// ErrProtocol is what every violation of the protocol wraps.
var ErrProtocol = errors.New("protocol violation")

// What can be wrong with a message.
var (
	ErrTooLarge        = errors.New("message too large")
	ErrTooDeep         = errors.New("message nested too deeply")
	ErrTooManyElements = errors.New("message has too many elements")
	ErrTooManySegments = errors.New("message carries too many shared segments")
	ErrMalformed       = errors.New("message malformed")
)

// ProtocolError says what is wrong with a message and where. It is ErrProtocol
// and one of [ErrTooLarge], [ErrTooDeep], [ErrTooManyElements] and
// [ErrMalformed]. After one of a stream's framing nothing that follows in the
// stream can be trusted.
type ProtocolError struct {
	Offset int    // in bytes from the beginning of the message or of the part that was parsed
	Detail string // what was found, and the limit if there is one
	Err    error
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("%v: %s at byte %d", e.Err, e.Detail, e.Offset)
}

// Unwrap makes errors.Is find the kind of fault, and that it is one of protocol.
func (e *ProtocolError) Unwrap() []error { return []error{e.Err, ErrProtocol} }

func Malformed(offset int, format string, args ...any) error {
	return &ProtocolError{Offset: offset, Detail: fmt.Sprintf(format, args...), Err: ErrMalformed}
}

// MaxSlots is how many handlers of one actor can run at once: each has a word in
// the progress pages of the actor.
const MaxSlots = 256

// ReplyWindow is how many bytes of replies a caller's process may leave unread.
// While there are more, none of its requests is begun: replies are not bounded by
// credit, and a slot must not wait for a caller.
const ReplyWindow = 4 << 20
