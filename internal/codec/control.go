package codec

import (
	"fmt"

	"github.com/understudy-go/understudy/internal/wire"
)

// Params encodes the argument list of a control message that consists of
// numbers.
func Params(values ...uint64) []byte {
	b := wire.AppendArrayHead(make([]byte, 0, 32), len(values))
	for _, v := range values {
		b = wire.AppendUint(b, v)
	}
	return b
}

// DecodeParams decodes what Params encoded. Further elements are ignored, so
// that a later version may add some.
func DecodeParams(raw []byte, values ...*uint64) error {
	r := wire.Reader{Raw: raw}
	n := r.Array("control arguments")
	if r.Err == nil && n < len(values) {
		return fmt.Errorf("control message with %d arguments, want %d: %w", n, len(values), wire.ErrProtocol)
	}
	for _, v := range values {
		*v = r.Uint("control argument")
	}
	return r.Err
}

// ControlParams encodes the argument list of a control message whose one
// argument is a struct: it travels as a map, so that peers may leave out and
// add fields.
func ControlParams(v any) []byte {
	return append([]byte{wire.FixArray | 1}, EncodeControl(v)...)
}

// DecodeControl decodes what ControlParams encoded.
func DecodeControl(raw []byte, v any) error {
	r := wire.Reader{Raw: raw}
	if n := r.Array("control arguments"); r.Err == nil && n == 0 {
		r.Fail("control argument")
	}
	first := r.Skip("control argument")
	if r.Err != nil {
		return r.Err
	}
	return DecodeResult(first, v)
}

// EncodeControl encodes a result of a control request: one of our own types, of
// bounded size.
func EncodeControl(v any) []byte {
	raw, err := encodeControl(v)
	if err != nil {
		panic(fmt.Sprintf("understudy: encoding a control message: %v", err)) // our own types only
	}
	return raw
}

// TryControlParams is ControlParams for what is not bounded, such as a user's
// log record.
func TryControlParams(v any) ([]byte, error) {
	raw, err := encodeControl(v)
	if err != nil {
		return nil, err
	}
	return append([]byte{wire.FixArray | 1}, raw...), nil
}

func encodeControl(v any) ([]byte, error) {
	buf := GetBuffer()
	defer PutBuffer(buf)
	buf.Limits.Bytes = wire.DefaultMaxMessage
	if err := Encode(buf, v, false); err != nil {
		return nil, err
	}
	return append([]byte(nil), buf.B...), nil
}

// DecodeResult decodes what EncodeControl encoded.
func DecodeResult(raw []byte, v any) error {
	if err := Decode(&Source{B: raw}, v); err != nil {
		return fmt.Errorf("control message: %w: %w", err, wire.ErrProtocol)
	}
	return nil
}
