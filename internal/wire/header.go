package wire

import (
	"encoding/binary"
)

// The first bytes of MessagePack values, as
// https://github.com/msgpack/msgpack/blob/master/spec.md defines them.
const (
	CodeNil     = 0xc0
	CodeFalse   = 0xc2
	CodeTrue    = 0xc3
	CodeBin8    = 0xc4
	CodeBin16   = 0xc5
	CodeBin32   = 0xc6
	CodeFloat32 = 0xca
	CodeFloat64 = 0xcb
	codeUint8   = 0xcc
	codeUint16  = 0xcd
	codeUint32  = 0xce
	codeUint64  = 0xcf
	CodeInt8    = 0xd0
	CodeInt16   = 0xd1
	CodeInt32   = 0xd2
	CodeInt64   = 0xd3
	CodeFixExt1 = 0xd4
	codeStr8    = 0xd9
	codeStr16   = 0xda
	codeStr32   = 0xdb
	codeArray16 = 0xdc
	codeArray32 = 0xdd
	CodeMap16   = 0xde
	CodeMap32   = 0xdf

	FixMap   = 0x80 // | number of pairs, up to 15
	FixArray = 0x90 // | number of elements, up to 15
	FixStr   = 0xa0 // | length in bytes, up to 31
)

type kind uint8

const (
	scalar    kind = iota // nothing inside: numbers, nil, strings, binaries, extensions
	Container             // an array or a map
	Invalid               // 0xc1, which the specification never uses
)

// header is what the first byte of a value tells.
type Header struct {
	Kind   kind
	Size   uint8 // bytes up to what is declared, or the whole of a scalar of fixed size
	Length uint8 // size of the length field behind the first byte; 0: nothing is declared
	Count  uint8 // elements of a container without a length field
	Shift  uint8 // a declared pair of a map is two elements
	Single uint8 // of size: what a decoder may read byte by byte (see Source.ReadByte)
}

var Headers = func() (t [256]Header) {
	for c := range t {
		h := Header{Size: 1, Single: 1}
		switch {
		case c >= FixMap && c < FixArray:
			h.Kind, h.Count = Container, uint8(c&15)*2
		case c >= FixArray && c < FixStr:
			h.Kind, h.Count = Container, uint8(c&15)
		case c >= FixStr && c < CodeNil:
			h.Size = 1 + uint8(c&31)
		}
		t[c] = h
	}
	fixed := func(code, payload int) { t[code].Size = 1 + uint8(payload) }
	for i := range 4 { // uint8 to uint64, int8 to int64
		fixed(codeUint8+i, 1<<i)
		fixed(CodeInt8+i, 1<<i)
	}
	t[codeUint8].Single, t[CodeInt8].Single = 2, 2
	fixed(CodeFloat32, 4)
	fixed(CodeFloat64, 8)
	for i := range 5 {
		fixed(CodeFixExt1+i, 1+1<<i) // the type, then 1 to 16 bytes
		t[CodeFixExt1+i].Single = 2
	}
	declared := func(code int, k kind, shift, extra uint8) {
		for i := range uint8(3) {
			n := uint8(1) << i // 1, 2 and 4 bytes of length
			if k == Container {
				if n *= 2; n > 4 {
					break // there are no small ones
				}
			}
			size := 1 + n + extra
			t[code+int(i)] = Header{Kind: k, Size: size, Length: n, Shift: shift, Single: size}
		}
	}
	declared(CodeBin8, scalar, 0, 0)
	declared(0xc7, scalar, 0, 1) // ext: the type follows the length
	declared(codeStr8, scalar, 0, 0)
	declared(codeArray16, Container, 0, 0)
	declared(CodeMap16, Container, 1, 0)
	t[0xc1].Kind = Invalid
	return t
}()

// declared reads the length field of the value that data begins with; it must
// be there.
func (h *Header) Declared(data []byte) uint32 {
	switch h.Length {
	case 1:
		return uint32(data[1])
	case 2:
		return uint32(binary.BigEndian.Uint16(data[1:]))
	}
	return binary.BigEndian.Uint32(data[1:])
}

// reader takes scanned bytes apart without copying. Its first error sticks.
type Reader struct {
	Raw []byte
	Pos int
	Err error
}

func (r *Reader) Fail(what string) {
	if r.Err != nil {
		return
	}
	if r.Pos >= len(r.Raw) {
		r.Err = Malformed(r.Pos, "%s is missing", what)
		return
	}
	r.Err = Malformed(r.Pos, "%s begins with 0x%02x, %d bytes from the end,", what, r.Raw[r.Pos], len(r.Raw)-r.Pos)
}

// head looks at the next value, which declares n bytes or elements; they can be there.
func (r *Reader) Head() (c byte, h *Header, n int, ok bool) {
	if r.Err != nil || r.Pos >= len(r.Raw) {
		return 0, nil, 0, false
	}
	rest := r.Raw[r.Pos:]
	h = &Headers[rest[0]]
	if h.Kind == Invalid || len(rest) < int(h.Size) {
		return 0, nil, 0, false
	}
	declared := uint64(h.Count)
	if h.Length > 0 {
		declared = uint64(h.Declared(rest)) << h.Shift
	}
	if declared > uint64(len(rest)-int(h.Size)) { // every element takes a byte
		return 0, nil, 0, false
	}
	n = int(declared)
	return rest[0], h, n, true
}

// array takes the header of an array.
func (r *Reader) Array(what string) int {
	c, h, n, ok := r.Head()
	if !ok || !IsArray(c) {
		r.Fail(what)
		return 0
	}
	r.Pos += int(h.Size)
	return n
}

// pairs takes the header of a map; nil counts as an empty one.
func (r *Reader) pairs(what string) int {
	c, h, n, ok := r.Head()
	switch {
	case ok && c == CodeNil:
	case ok && h.Kind == Container && !IsArray(c):
	default:
		r.Fail(what)
		return 0
	}
	r.Pos += int(h.Size)
	return n / 2
}

// uint takes an unsigned integer; foreign encoders may have chosen a signed form.
func (r *Reader) Uint(what string) uint64 {
	if r.Err == nil && r.Pos < len(r.Raw) && r.Raw[r.Pos] < FixMap { // the usual case, without the calls
		r.Pos++
		return uint64(r.Raw[r.Pos-1])
	}
	c, h, _, ok := r.Head()
	if !ok {
		r.Fail(what)
		return 0
	}
	v, negative, ok := Integer(c, r.Raw[r.Pos+1:])
	if !ok || negative {
		r.Fail(what)
		return 0
	}
	r.Pos += int(h.Size)
	return v
}

// integer is the value of an integer whose first byte is c; b holds the rest.
func Integer(c byte, b []byte) (v uint64, negative, ok bool) {
	var signed int64
	switch {
	case c < FixMap:
		return uint64(c), false, true
	case c >= 0xe0:
		signed = int64(int8(c))
	default:
		switch c {
		case codeUint8:
			return uint64(b[0]), false, true
		case codeUint16:
			return uint64(binary.BigEndian.Uint16(b)), false, true
		case codeUint32:
			return uint64(binary.BigEndian.Uint32(b)), false, true
		case codeUint64:
			return binary.BigEndian.Uint64(b), false, true
		case CodeInt8:
			signed = int64(int8(b[0]))
		case CodeInt16:
			signed = int64(int16(binary.BigEndian.Uint16(b)))
		case CodeInt32:
			signed = int64(int32(binary.BigEndian.Uint32(b)))
		case CodeInt64:
			signed = int64(binary.BigEndian.Uint64(b))
		default:
			return 0, false, false
		}
	}
	return uint64(signed), signed < 0, true
}

// isString tells whether c begins a string.
func IsString(c byte) bool {
	return c >= FixStr && c < CodeNil || c >= codeStr8 && c <= codeStr32
}

// isArray tells whether c begins an array.
func IsArray(c byte) bool {
	return c >= FixArray && c < FixStr || c == codeArray16 || c == codeArray32
}

// str takes a string and returns its bytes, which lie in raw.
func (r *Reader) Str(what string) []byte {
	c, h, n, ok := r.Head()
	if !ok || !IsString(c) {
		r.Fail(what)
		return nil
	}
	start := r.Pos + int(h.Size)
	if h.Length == 0 {
		start = r.Pos + 1
		n = int(h.Size) - 1
	}
	r.Pos = start + n
	return r.Raw[start:r.Pos:r.Pos]
}

// bool takes a boolean.
func (r *Reader) bool(what string) bool {
	c, _, _, ok := r.Head()
	if !ok || c != CodeFalse && c != CodeTrue {
		r.Fail(what)
		return false
	}
	r.Pos++
	return c == CodeTrue
}

// skip takes one whole value and returns it.
func (r *Reader) Skip(what string) []byte {
	start := r.Pos
	for pending := 1; pending > 0; pending-- {
		if r.Pos < len(r.Raw) { // the usual case, without the calls
			if h := &Headers[r.Raw[r.Pos]]; h.Length == 0 && h.Kind != Invalid && int(h.Size) <= len(r.Raw)-r.Pos {
				r.Pos += int(h.Size)
				pending += int(h.Count)
				continue
			}
		}
		_, h, n, ok := r.Head()
		if !ok {
			r.Fail(what)
			return nil
		}
		r.Pos += int(h.Size)
		if h.Kind == Container {
			pending += n
		} else {
			r.Pos += n
		}
	}
	return r.Raw[start:r.Pos:r.Pos]
}

// end demands that nothing follows.
func (r *Reader) end() error {
	if r.Err == nil && r.Pos < len(r.Raw) {
		r.Err = Malformed(r.Pos, "%d bytes too many", len(r.Raw)-r.Pos)
	}
	return r.Err
}
