package wire

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"sync"
	"sync/atomic"
)

// MessageType is the first element of an envelope. The numbers are those of
// https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md.
type MessageType uint8

const (
	Request  MessageType = 0 // [0, id, method, params]
	Response MessageType = 1 // [1, id, error, result]
	Notify   MessageType = 2 // [2, method, params]
)

func (t MessageType) String() string {
	switch t {
	case Request:
		return "request"
	case Response:
		return "response"
	case Notify:
		return "notification"
	}
	return fmt.Sprintf("message type %d", uint8(t))
}

// Envelope is a message taken apart. The byte slices are raw MessagePack and
// lie in the message that was parsed.
type Envelope struct {
	Type   MessageType
	ID     uint64 // of requests and responses
	Method string // of requests and notifications
	Params []byte // of requests and notifications: an array
	Err    []byte // of responses: nil when the call succeeded
	Result []byte // of responses
	Meta   []byte // nil when there is none; see ParseMeta
}

// ParseEnvelope takes one message apart, which a [Scanner] has let pass. It
// does not allocate, but for a method that [Intern] does not know. The error is
// a [*ProtocolError].
func ParseEnvelope(body []byte) (Envelope, error) {
	r := Reader{Raw: body}
	var e Envelope
	n := r.Array("a message")
	typ := r.Uint("the message type")
	if r.Err == nil && typ > uint64(Notify) {
		return Envelope{}, Malformed(1, "message type %d", typ)
	}
	e.Type = MessageType(typ)
	want := 4
	if e.Type == Notify {
		want = 3
	}
	if r.Err == nil && n != want && n != want+1 {
		return Envelope{}, Malformed(0, "%v of %d elements, want %d, or %d with metadata", e.Type, n, want, want+1)
	}
	if e.Type != Notify {
		e.ID = r.Uint("the request id")
	}
	if e.Type == Response {
		if e.Err = r.Skip("the error"); len(e.Err) == 1 && e.Err[0] == CodeNil {
			e.Err = nil
		}
		e.Result = r.Skip("the result")
	} else {
		method := r.Str("the method")
		if r.Err == nil && r.Pos < len(body) && !IsArray(body[r.Pos]) {
			r.Fail("the argument list")
		}
		if e.Params = r.Skip("the argument list"); r.Err == nil {
			e.Method = interned(method)
		}
	}
	if n == want+1 {
		e.Meta = r.Skip("the metadata")
	}
	if err := r.end(); err != nil {
		return Envelope{}, err
	}
	return e, nil
}

// AppendRequest appends a request to b. params is a raw argument list; nil
// stands for an empty one. meta is what [Meta.Append] made, or nil.
func AppendRequest(b []byte, id uint64, method string, params, meta []byte) []byte {
	start := len(b)
	b = AppendRequestHead(b, id, method)
	return appendTail(b, start, params, meta)
}

// AppendNotify appends a notification to b, as AppendRequest does a request.
func AppendNotify(b []byte, method string, params, meta []byte) []byte {
	start := len(b)
	b = AppendNotifyHead(b, method)
	return appendTail(b, start, params, meta)
}

// AppendResponse appends the response to request id to b. errRaw and result
// are raw values; nil stands for nil.
func AppendResponse(b []byte, id uint64, errRaw, result, meta []byte) []byte {
	start := len(b)
	b = AppendResponseHead(b, id)
	b = appendRaw(b, errRaw, CodeNil)
	b = appendRaw(b, result, CodeNil)
	return appendMeta(b, start, meta)
}

func appendTail(b []byte, start int, params, meta []byte) []byte {
	return appendMeta(appendRaw(b, params, FixArray), start, meta)
}

func appendRaw(b, raw []byte, empty byte) []byte {
	if len(raw) == 0 {
		return append(b, empty)
	}
	return append(b, raw...)
}

func appendMeta(b []byte, start int, meta []byte) []byte {
	if len(meta) > 0 {
		b[start]++ // one element more
		b = append(b, meta...)
	}
	return b
}

// AppendRequestHead appends a request up to its argument list, which the caller
// encodes behind it, into the same memory. [AppendMetaTo] may follow.
func AppendRequestHead(b []byte, id uint64, method string) []byte {
	b = append(b, FixArray|4, byte(Request))
	return AppendString(AppendUint(b, id), method)
}

// AppendNotifyHead appends a notification up to its argument list.
func AppendNotifyHead(b []byte, method string) []byte {
	return AppendString(append(b, FixArray|3, byte(Notify)), method)
}

// AppendResponseHead appends a response up to its error. The caller appends
// the error and the result, one of them nil.
func AppendResponseHead(b []byte, id uint64) []byte {
	return AppendUint(append(b, FixArray|4, byte(Response)), id)
}

// AppendMetaTo completes the message that begins at b[start] with metadata. It
// must be complete without.
func AppendMetaTo(b []byte, start int, m *Meta) []byte {
	b[start]++
	return m.Append(b)
}

func AppendUint(b []byte, v uint64) []byte {
	switch {
	case v < FixMap:
		return append(b, byte(v))
	case v <= math.MaxUint8:
		return append(b, codeUint8, byte(v))
	case v <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, codeUint16), uint16(v))
	case v <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(b, codeUint32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, codeUint64), v)
}

func AppendString(b []byte, s string) []byte {
	switch n := len(s); {
	case n < 32:
		b = append(b, FixStr|byte(n))
	case n <= math.MaxUint8:
		b = append(b, codeStr8, byte(n))
	case n <= math.MaxUint16:
		b = binary.BigEndian.AppendUint16(append(b, codeStr16), uint16(n))
	default:
		b = binary.BigEndian.AppendUint32(append(b, codeStr32), uint32(n))
	}
	return append(b, s...)
}

func AppendArrayHead(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, FixArray|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, codeArray16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, codeArray32), uint32(n))
}

func appendMapHead(b []byte, n int) []byte {
	switch {
	case n < 16:
		return append(b, FixMap|byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, CodeMap16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, CodeMap32), uint32(n))
}

// Method names that a program declares, so that a message does not allocate
// its own copy. What a peer sends never gets in by itself. Readers take no lock.
var (
	methodsMu sync.Mutex
	methods   atomic.Pointer[map[string]string]
)

// Intern makes method names known. It is meant for declarations: its cost grows
// with the number of names known.
func Intern(names ...string) {
	methodsMu.Lock()
	defer methodsMu.Unlock()
	known := make(map[string]string)
	if old := methods.Load(); old != nil {
		maps.Copy(known, *old)
	}
	for _, name := range names {
		known[name] = name
	}
	methods.Store(&known)
}

func interned(name []byte) string {
	if known := methods.Load(); known != nil {
		if s, ok := (*known)[string(name)]; ok {
			return s
		}
	}
	return string(name)
}

// AppendResultHead appends the response to request id up to its result, which
// the caller encodes behind it. [AppendMetaTo] may follow, and then the message is whole.
func AppendResultHead(b []byte, id uint64) []byte {
	return append(AppendResponseHead(b, id), CodeNil)
}

// IsNil reports whether raw is absent or MessagePack's nil.
func IsNil(raw []byte) bool { return len(raw) == 0 || len(raw) == 1 && raw[0] == 0xc0 }
