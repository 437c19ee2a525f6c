package codec

import (
	"encoding/binary"
	"math"
	"reflect"
	"unsafe"

	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
)

// A shape's code is two loops over its fields, and nothing in them is called
// through a pointer, given the value's: so the compiler sees that the value
// does not escape, and a caller's may live on its stack. That is why arrays are
// handed to shm as they lie there, without the type of their elements.

// encode appends the value at p to buf, as Encode does. It is false, and buf is
// as it was, when it is better left to the library: then some limit is near, or
// a float is not a number, whose bits change as the library moves them about.
func (s *shape) encode(buf *Buffer, p unsafe.Pointer, arrays, args bool) bool {
	lim := buf.Limits
	if lim.Depth > 0 && lim.Depth < 5 || lim.Elements > 0 && lim.Elements < fewElements {
		return false
	}
	most := lim.Bytes
	if most <= 0 {
		most = wire.DefaultLimits.Bytes
	}
	b := buf.B
	if args && !s.isArgs {
		b = append(b, wire.FixArray|1)
		args = false
	}
	switch {
	case s.scalar:
	case s.nothing && !args:
		b = append(b, wire.CodeNil)
	case args || arrays:
		b = append(b, wire.FixArray|byte(len(s.fields)))
	default:
		b = append(b, wire.FixMap|byte(len(s.fields)))
	}
	for i := range s.fields {
		f := &s.fields[i]
		if !s.scalar && !args && !arrays {
			b = append(b, f.key...)
		}
		if f.array != 0 {
			b = segment.AppendReference(b, unsafe.Add(p, f.offset), f.array, buf)
		} else {
			b = f.append(b, unsafe.Add(p, f.offset), most)
		}
		if b == nil {
			return false
		}
	}
	if len(b)-len(buf.B) > most {
		return false
	}
	buf.B = b
	return true
}

// fewElements is more than what a shape can need twice over: see
// [Buffer.begin] for the half that may be missing.
const fewElements = 4 + 2*15*(1+segment.MaxDirect)

// append appends one value that is no array; nil stands for no.
func (f *shapeField) append(b []byte, p unsafe.Pointer, most int) []byte {
	switch f.kind {
	case reflect.String:
		s := *(*string)(p)
		if len(s) > most {
			return nil
		}
		return wire.AppendString(b, s)
	case reflect.Int:
		return appendInt(b, int64(*(*int)(p)))
	case reflect.Int64:
		return appendInt(b, *(*int64)(p))
	case reflect.Int32:
		return appendInt(b, int64(*(*int32)(p)))
	case reflect.Int16:
		return appendInt(b, int64(*(*int16)(p)))
	case reflect.Int8:
		return appendInt(b, int64(*(*int8)(p)))
	case reflect.Uint:
		return wire.AppendUint(b, uint64(*(*uint)(p)))
	case reflect.Uint64:
		return wire.AppendUint(b, *(*uint64)(p))
	case reflect.Uint32:
		return wire.AppendUint(b, uint64(*(*uint32)(p)))
	case reflect.Uint16:
		return wire.AppendUint(b, uint64(*(*uint16)(p)))
	case reflect.Uint8:
		return wire.AppendUint(b, uint64(*(*uint8)(p)))
	case reflect.Bool:
		if *(*bool)(p) {
			return append(b, wire.CodeTrue)
		}
		return append(b, wire.CodeFalse)
	case reflect.Float64:
		v := *(*float64)(p)
		return binary.BigEndian.AppendUint64(append(b, wire.CodeFloat64), math.Float64bits(v))
	case reflect.Float32:
		v := *(*float32)(p)
		if v != v {
			return nil
		}
		return binary.BigEndian.AppendUint32(append(b, wire.CodeFloat32), math.Float32bits(v))
	case reflect.Slice:
		v := *(*[]byte)(p)
		switch {
		case v == nil:
			return append(b, wire.CodeNil)
		case len(v) > most:
			return nil
		}
		return append(appendBinHead(b, len(v)), v...)
	}
	return nil
}

func appendInt(b []byte, v int64) []byte {
	switch {
	case v >= 0:
		return wire.AppendUint(b, uint64(v))
	case v >= -32:
		return append(b, byte(v))
	case v >= math.MinInt8:
		return append(b, wire.CodeInt8, byte(v))
	case v >= math.MinInt16:
		return binary.BigEndian.AppendUint16(append(b, wire.CodeInt16), uint16(v))
	case v >= math.MinInt32:
		return binary.BigEndian.AppendUint32(append(b, wire.CodeInt32), uint32(v))
	}
	return binary.BigEndian.AppendUint64(append(b, wire.CodeInt64), uint64(v))
}

func appendBinHead(b []byte, n int) []byte {
	switch {
	case n <= math.MaxUint8:
		return append(b, wire.CodeBin8, byte(n))
	case n <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(b, wire.CodeBin16), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(b, wire.CodeBin32), uint32(n))
}

// decode decodes the whole of src into the zero value at p, as Decode does. It
// is false when that is anything but what an encoder of the same shape writes,
// integers of other sizes aside: then the library has to do it from the
// beginning, and finds that the fields it fills are filled with the same, or
// are arrays without elements.
func (s *shape) decode(src *Source, p unsafe.Pointer, args bool) bool {
	received := len(src.received)
	filled, ok := s.decodeFields(src, p, args)
	if !ok && s.refers {
		src.retract(received)
		for i := range s.fields[:filled] {
			if f := &s.fields[i]; f.array != 0 {
				segment.Forget(unsafe.Add(p, f.offset))
			}
		}
	}
	return ok
}

// decodeFields is decode that leaves behind what it filled, a number of fields.
func (s *shape) decodeFields(src *Source, p unsafe.Pointer, args bool) (filled int, ok bool) {
	raw := src.B
	if args && !s.isArgs {
		if len(raw) == 0 || raw[0] != wire.FixArray|1 {
			return 0, false
		}
		raw = raw[1:]
		args = false
	}
	keys := false
	if s.nothing && !args && len(raw) == 1 && raw[0] == wire.CodeNil {
		return 0, true
	}
	if !s.scalar {
		if len(raw) == 0 {
			return 0, false
		}
		switch n := byte(len(s.fields)); raw[0] {
		case wire.FixArray | n:
		case wire.FixMap | n:
			if args {
				return 0, false
			}
			keys = true
		default:
			return 0, false
		}
		raw = raw[1:]
	}
	for i := range s.fields {
		f := &s.fields[i]
		if keys {
			if len(raw) < len(f.key) || string(raw[:len(f.key)]) != f.key {
				return i, false
			}
			raw = raw[len(f.key):]
		}
		n := 0
		if f.array != 0 {
			n = segment.ReadReference(raw, unsafe.Add(p, f.offset), f.array, src)
		} else {
			n = f.read(raw, unsafe.Add(p, f.offset))
		}
		if n == 0 {
			return i, false
		}
		raw = raw[n:]
	}
	return len(s.fields), len(raw) == 0
}

// read decodes one value that is no array and returns how long it is; 0 stands
// for no.
func (f *shapeField) read(raw []byte, p unsafe.Pointer) int {
	if len(raw) == 0 {
		return 0
	}
	c := raw[0]
	h := &wire.Headers[c]
	size := int(h.Size)
	if size > len(raw) {
		return 0
	}
	switch f.kind {
	case reflect.String:
		payload, ok := raw[1:size], wire.IsString(c)
		if h.Length > 0 {
			payload, ok = declaredPayload(h, raw, ok)
			size += len(payload)
		}
		if !ok {
			return 0
		}
		*(*string)(p) = string(payload)
		return size
	case reflect.Slice:
		if *(*[]byte)(p) != nil {
			return 0 // the library would use the memory again
		}
		if c == wire.CodeNil {
			return 1
		}
		payload, ok := declaredPayload(h, raw, c >= wire.CodeBin8 && c <= wire.CodeBin32)
		if !ok {
			return 0
		}
		*(*[]byte)(p) = append(make([]byte, 0, len(payload)), payload...)
		return size + len(payload)
	case reflect.Bool:
		if c != wire.CodeFalse && c != wire.CodeTrue {
			return 0
		}
		*(*bool)(p) = c == wire.CodeTrue
		return 1
	case reflect.Float64:
		if c != wire.CodeFloat64 {
			return 0
		}
		*(*float64)(p) = math.Float64frombits(binary.BigEndian.Uint64(raw[1:]))
		return size
	case reflect.Float32:
		if c != wire.CodeFloat32 {
			return 0
		}
		v := math.Float32frombits(binary.BigEndian.Uint32(raw[1:]))
		if v != v {
			return 0
		}
		*(*float32)(p) = v
		return size
	}
	v, _, ok := wire.Integer(c, raw[1:size])
	if !ok {
		return 0
	}
	switch f.kind { // cut as the library cuts
	case reflect.Int:
		*(*int)(p) = int(v)
	case reflect.Int64:
		*(*int64)(p) = int64(v)
	case reflect.Int32:
		*(*int32)(p) = int32(v)
	case reflect.Int16:
		*(*int16)(p) = int16(v)
	case reflect.Int8:
		*(*int8)(p) = int8(v)
	case reflect.Uint:
		*(*uint)(p) = uint(v)
	case reflect.Uint64:
		*(*uint64)(p) = v
	case reflect.Uint32:
		*(*uint32)(p) = uint32(v)
	case reflect.Uint16:
		*(*uint16)(p) = uint16(v)
	case reflect.Uint8:
		*(*uint8)(p) = uint8(v)
	}
	return size
}

// declaredPayload is what follows the header of a string or binary, if it is all there.
func declaredPayload(h *wire.Header, raw []byte, ok bool) ([]byte, bool) {
	if !ok || h.Length == 0 {
		return nil, false
	}
	n := uint64(h.Declared(raw))
	if rest := raw[h.Size:]; n <= uint64(len(rest)) {
		return rest[:n], true
	}
	return nil, false
}
