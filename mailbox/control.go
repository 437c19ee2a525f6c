package mailbox

import (
	"bytes"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// Params encodes the argument list of a control message that consists of
// numbers.
func Params(values ...uint64) []byte {
	var b bytes.Buffer
	enc := msgpack.NewEncoder(&b)
	_ = enc.EncodeArrayLen(len(values)) // a bytes.Buffer does not fail
	for _, v := range values {
		_ = enc.EncodeUint(v)
	}
	return b.Bytes()
}

// DecodeParams decodes what Params encoded. Further elements are ignored, so
// that a later version may add some.
func DecodeParams(raw []byte, values ...*uint64) error {
	dec := msgpack.NewDecoder(bytes.NewReader(raw))
	n, err := dec.DecodeArrayLen()
	if err != nil || n < len(values) {
		return fmt.Errorf("control message with %d arguments, want %d (%v): %w", n, len(values), err, ErrProtocol)
	}
	for _, v := range values {
		if *v, err = dec.DecodeUint64(); err != nil {
			return fmt.Errorf("control message: %v: %w", err, ErrProtocol)
		}
	}
	return nil
}

// ControlParams encodes the argument list of a control message whose one
// argument is a struct: it travels as a map, so that peers may leave out and
// add fields.
func ControlParams(v any) []byte {
	raw, err := msgpack.Marshal([]any{v})
	if err != nil {
		panic(fmt.Sprintf("understudy: encoding a control message: %v", err)) // our own types only
	}
	return raw
}

// DecodeControl decodes what ControlParams encoded.
func DecodeControl(raw []byte, v any) error {
	dec := msgpack.NewDecoder(bytes.NewReader(raw))
	n, err := dec.DecodeArrayLen()
	if err == nil && n < 1 {
		err = fmt.Errorf("no argument")
	}
	if err == nil {
		err = safely(func() error { return dec.Decode(v) })
	}
	if err != nil {
		return fmt.Errorf("control message: %v: %w", err, ErrProtocol)
	}
	return nil
}

// EncodeControl encodes a result of a control request.
func EncodeControl(v any) []byte {
	raw, err := msgpack.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("understudy: encoding a control message: %v", err))
	}
	return raw
}

// DecodeResult decodes what EncodeControl encoded.
func DecodeResult(raw []byte, v any) error {
	if err := safely(func() error { return msgpack.Unmarshal(raw, v) }); err != nil {
		return fmt.Errorf("control message: %v: %w", err, ErrProtocol)
	}
	return nil
}

func safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decoder panicked: %v", r)
		}
	}()
	return f()
}
