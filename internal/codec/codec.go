package codec

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime/debug"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/wire"
)

// EncodeError says that a value cannot be sent. It is [ErrTooLarge],
// [ErrTooDeep], [ErrTooManyElements] or [ErrTooManySegments] when the value breaks
// the limits, a [*TypeError] when there is something in it that cannot travel, a
// [*PanicError] when its own encoder panicked, and [ErrMalformed] when that
// wrote no, more than one, or half a value.
type EncodeError struct {
	Type reflect.Type // of the whole value; nil for nil
	Err  error
}

func (e *EncodeError) Error() string { return fmt.Sprintf("encoding %v: %v", e.Type, e.Err) }
func (e *EncodeError) Unwrap() error { return e.Err }

// DecodeError says that a message does not fit the type it is decoded into.
type DecodeError struct {
	Type   reflect.Type // of the whole value; nil for nil
	Offset int          // how far the decoder read, in bytes
	Err    error
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("decoding %v: %v (at byte %d)", e.Type, e.Err, e.Offset)
}
func (e *DecodeError) Unwrap() error { return e.Err }

// PanicError is a panic of a type's own encoder or decoder.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap gives the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Encode appends v to buf. Structs are maps of their field names. With
// structsAsArrays, which only fits a receiver with the same definition of the
// type, they are arrays of their fields where the receiver cannot tell: not in a type with
// interfaces in it, with types that encode themselves, or with fields that may be
// left out. Decoding accepts both. A struct type without fields is nil. Struct
// tags and methods of the msgpack library are honoured. v may be a pointer, which saves a copy
// where an EncodeMsgpack method has a pointer receiver.
//
// The value must keep to buf.Limits. They are the same for an argument, a result
// and an item of a stream: the list of arguments, the envelope and the metadata
// do not count, for which a receiver's scanner has room (see [Limits.Message]).
//
// After an error, an [*EncodeError], buf.B is as it was before. Segments that
// were carried stay with buf until its Reset.
func Encode(buf *Buffer, v any, structsAsArrays bool) error {
	return encode(buf, v, structsAsArrays, false)
}

// decoders are for sources that have none of their own. Those that failed are
// not used again: they keep state that only a success cleans up (v5.4.1,
// Decoder.rec).
var decoders = sync.Pool{New: func() any { return msgpack.NewDecoder(nil) }}

func encode(buf *Buffer, v any, structsAsArrays, args bool) (err error) {
	sent := len(buf.sent)
	buf.begin(args)
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: debug.Stack()}
		}
		if err != nil {
			buf.B = buf.B[:buf.start]
			buf.retract(sent)
			buf.check, buf.enc = 0, nil
			err = encodeError(v, err)
		}
	}()
	if buf.enc == nil {
		buf.enc = msgpack.NewEncoder(nil)
	}
	enc := buf.enc
	enc.Reset(buf) // a type's own encoder may have set it to anything
	enc.UseCompactInts(true)
	if err := encodeTo(buf, enc, v, structsAsArrays, args); err != nil {
		return err
	}
	return buf.end()
}

func encodeTo(buf *Buffer, enc *msgpack.Encoder, v any, structsAsArrays, args bool) error {
	t := reflect.TypeOf(v)
	if t == nil {
		if args {
			if err := enc.EncodeArrayLen(1); err != nil {
				return err
			}
		}
		return enc.EncodeNil()
	}
	pointer := t.Kind() == reflect.Pointer
	if pointer {
		t = t.Elem()
	}
	p := planOf(t)
	if p.err != nil {
		return p.err
	}
	if p.any {
		if err := newInsides(buf.Limits).check(reflect.ValueOf(v), 0); err != nil {
			return err
		}
	}
	enc.UseArrayEncodedStructs(structsAsArrays && p.lists)
	if !args && isNothing(t) {
		return enc.EncodeNil()
	}
	if args && !p.isArgs {
		if err := enc.EncodeArrayLen(1); err != nil {
			return err
		}
		args = false
	}
	if !args && pointer && p.direct && !reflect.ValueOf(v).IsNil() { // the library makes nil of a nil pointer
		return v.(msgpack.CustomEncoder).EncodeMsgpack(enc)
	}
	if !args && (pointer || !p.addressable) {
		return enc.Encode(v)
	}
	rv := reflect.ValueOf(v)
	switch {
	case pointer:
		for rv.Kind() == reflect.Pointer {
			if rv.IsNil() {
				return errors.New("a nil pointer is no argument list")
			}
			rv = rv.Elem()
		}
	case p.addressable:
		rv = reflect.New(t).Elem()
		rv.Set(reflect.ValueOf(v))
	}
	if !args {
		return enc.EncodeValue(rv)
	}
	buf.scanner.Limits.Elements += len(p.args) - 1
	if err := enc.EncodeArrayLen(len(p.args)); err != nil {
		return err
	}
	for _, i := range p.args {
		if err := enc.EncodeValue(rv.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

// encodeError names the value. What breaks the limits here breaks no protocol.
func encodeError(v any, err error) error {
	var limit *wire.ProtocolError
	if errors.As(err, &limit) {
		err = fmt.Errorf("%w: %s%s", limit.Err, limit.Detail, wire.WayOut(limit.Err))
	}
	return &EncodeError{Type: reflect.TypeOf(v), Err: err}
}

// Decode decodes src, which holds one value that a [Scanner] has let pass, into
// what v points to, which should be a zero value. Nothing in the result refers
// to src.B.
//
// In an interface, maps are map[string]any, or map[any]any if a key is no
// string; integers are int64, or uint64 if they were sent in an unsigned form
// (the smallest numbers have only one form, and are int64); floats are float64.
// Times are in UTC.
//
// For each struct type that others embed by pointer, the library keeps a
// goroutine with values in stock, for good (v5.4.1, cachedValue).
//
// The error is a [*DecodeError]. What v points to is then half filled.
func Decode(src *Source, v any) error {
	return decode(src, v, false)
}

func decode(src *Source, v any, args bool) error {
	t := reflect.TypeOf(v)
	if t == nil || t.Kind() != reflect.Pointer || reflect.ValueOf(v).IsNil() {
		return decodeError(src, v, errors.New("not a pointer to decode into"))
	}
	return decodeAs(src, v, planOf(t.Elem()), args)
}

// decodeAs is decode with a pointer to a value whose plan is known.
func decodeAs(src *Source, v any, p *plan, args bool) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &PanicError{Value: r, Stack: debug.Stack()}
		}
		if err != nil {
			err = decodeError(src, v, err)
		}
	}()
	if p.err != nil {
		return p.err
	}
	dec := src.dec
	src.dec = nil
	if dec == nil {
		dec = decoders.Get().(*msgpack.Decoder)
	}
	dec.Reset(src)
	dec.SetMapDecoder(decodeMap)
	src.interned = p.interned
	if err := p.checkMemory(reflect.TypeOf(v).Elem(), src.B[src.pos:], args); err != nil {
		return err
	}
	if err := decodeFrom(dec, v, p, args); err != nil {
		return err
	}
	if n := src.Len(); n > 0 {
		return wire.Malformed(src.pos, "%d bytes after the value", n)
	}
	if p.settles {
		settle(reflect.ValueOf(v).Elem())
	}
	switch {
	case len(src.B) > Keep: // dec keeps a buffer as large as the longest string
	case src.pooled:
		src.dec = dec
	default:
		dec.ResetReader(nil)
		decoders.Put(dec)
	}
	return nil
}

func decodeFrom(dec *msgpack.Decoder, v any, p *plan, args bool) error {
	if !args {
		return decodeOne(dec, v, p)
	}
	n, err := dec.DecodeArrayLen()
	if err != nil {
		return err
	}
	if !p.isArgs {
		if err := checkArguments(n, 1); err != nil {
			return err
		}
		return decodeOne(dec, v, p)
	}
	if err := checkArguments(n, len(p.args)); err != nil {
		return err
	}
	rv := reflect.ValueOf(v).Elem()
	if rv.Kind() == reflect.Pointer {
		rv.Set(reflect.New(rv.Type().Elem()))
		rv = rv.Elem()
	}
	for _, i := range p.args {
		if err := dec.DecodeValue(rv.Field(i)); err != nil {
			return err
		}
	}
	return nil
}

func decodeOne(dec *msgpack.Decoder, v any, p *plan) error {
	if p.direct {
		if c, err := dec.PeekCode(); err == nil && c != wire.CodeNil {
			return v.(msgpack.CustomDecoder).DecodeMsgpack(dec)
		}
	}
	return dec.Decode(v)
}

func decodeError(src *Source, v any, err error) error {
	if errors.Is(err, io.EOF) {
		err = fmt.Errorf("the message ends too early: %w", io.ErrUnexpectedEOF)
	}
	t := reflect.TypeOf(v)
	if t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return &DecodeError{Type: t, Offset: src.pos, Err: err}
}
