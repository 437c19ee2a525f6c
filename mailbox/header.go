package mailbox

import (
	"encoding/binary"
)

// The first bytes of MessagePack values, as
// https://github.com/msgpack/msgpack/blob/master/spec.md defines them.
const (
	codeNil     = 0xc0
	codeFalse   = 0xc2
	codeTrue    = 0xc3
	codeBin8    = 0xc4
	codeBin16   = 0xc5
	codeBin32   = 0xc6
	codeFloat32 = 0xca
	codeFloat64 = 0xcb
	codeUint8   = 0xcc
	codeUint16  = 0xcd
	codeUint32  = 0xce
	codeUint64  = 0xcf
	codeInt8    = 0xd0
	codeInt16   = 0xd1
	codeInt32   = 0xd2
	codeInt64   = 0xd3
	codeFixExt1 = 0xd4
	codeStr8    = 0xd9
	codeStr16   = 0xda
	codeStr32   = 0xdb
	codeArray16 = 0xdc
	codeArray32 = 0xdd
	codeMap16   = 0xde
	codeMap32   = 0xdf

	fixMap   = 0x80 // | number of pairs, up to 15
	fixArray = 0x90 // | number of elements, up to 15
	fixStr   = 0xa0 // | length in bytes, up to 31
)

type kind uint8

const (
	scalar    kind = iota // nothing inside: numbers, nil, strings, binaries, extensions
	container             // an array or a map
	invalid               // 0xc1, which the specification never uses
)

// header is what the first byte of a value tells.
type header struct {
	kind   kind
	size   uint8 // bytes up to what is declared, or the whole of a scalar of fixed size
	length uint8 // size of the length field behind the first byte; 0: nothing is declared
	count  uint8 // elements of a container without a length field
	shift  uint8 // a declared pair of a map is two elements
	single uint8 // of size: what a decoder may read byte by byte (see Source.ReadByte)
}

var headers = func() (t [256]header) {
	for c := range t {
		h := header{size: 1, single: 1}
		switch {
		case c >= fixMap && c < fixArray:
			h.kind, h.count = container, uint8(c&15)*2
		case c >= fixArray && c < fixStr:
			h.kind, h.count = container, uint8(c&15)
		case c >= fixStr && c < codeNil:
			h.size = 1 + uint8(c&31)
		}
		t[c] = h
	}
	fixed := func(code, payload int) { t[code].size = 1 + uint8(payload) }
	for i := range 4 { // uint8 to uint64, int8 to int64
		fixed(codeUint8+i, 1<<i)
		fixed(codeInt8+i, 1<<i)
	}
	t[codeUint8].single, t[codeInt8].single = 2, 2
	fixed(codeFloat32, 4)
	fixed(codeFloat64, 8)
	for i := range 5 {
		fixed(codeFixExt1+i, 1+1<<i) // the type, then 1 to 16 bytes
		t[codeFixExt1+i].single = 2
	}
	declared := func(code int, k kind, shift, extra uint8) {
		for i := range uint8(3) {
			n := uint8(1) << i // 1, 2 and 4 bytes of length
			if k == container {
				if n *= 2; n > 4 {
					break // there are no small ones
				}
			}
			size := 1 + n + extra
			t[code+int(i)] = header{kind: k, size: size, length: n, shift: shift, single: size}
		}
	}
	declared(codeBin8, scalar, 0, 0)
	declared(0xc7, scalar, 0, 1) // ext: the type follows the length
	declared(codeStr8, scalar, 0, 0)
	declared(codeArray16, container, 0, 0)
	declared(codeMap16, container, 1, 0)
	t[0xc1].kind = invalid
	return t
}()

// declared reads the length field of the value that data begins with; it must
// be there.
func (h *header) declared(data []byte) uint32 {
	switch h.length {
	case 1:
		return uint32(data[1])
	case 2:
		return uint32(binary.BigEndian.Uint16(data[1:]))
	}
	return binary.BigEndian.Uint32(data[1:])
}

// reader takes scanned bytes apart without copying. Its first error sticks.
type reader struct {
	raw []byte
	pos int
	err error
}

func (r *reader) fail(what string) {
	if r.err != nil {
		return
	}
	if r.pos >= len(r.raw) {
		r.err = malformed(r.pos, "%s is missing", what)
		return
	}
	r.err = malformed(r.pos, "%s begins with 0x%02x, %d bytes from the end,", what, r.raw[r.pos], len(r.raw)-r.pos)
}

// head looks at the next value, which declares n bytes or elements; they can be there.
func (r *reader) head() (c byte, h *header, n int, ok bool) {
	if r.err != nil || r.pos >= len(r.raw) {
		return 0, nil, 0, false
	}
	rest := r.raw[r.pos:]
	h = &headers[rest[0]]
	if h.kind == invalid || len(rest) < int(h.size) {
		return 0, nil, 0, false
	}
	declared := uint64(h.count)
	if h.length > 0 {
		declared = uint64(h.declared(rest)) << h.shift
	}
	if declared > uint64(len(rest)-int(h.size)) { // every element takes a byte
		return 0, nil, 0, false
	}
	n = int(declared)
	return rest[0], h, n, true
}

// array takes the header of an array.
func (r *reader) array(what string) int {
	c, h, n, ok := r.head()
	if !ok || !isArray(c) {
		r.fail(what)
		return 0
	}
	r.pos += int(h.size)
	return n
}

// pairs takes the header of a map; nil counts as an empty one.
func (r *reader) pairs(what string) int {
	c, h, n, ok := r.head()
	switch {
	case ok && c == codeNil:
	case ok && h.kind == container && !isArray(c):
	default:
		r.fail(what)
		return 0
	}
	r.pos += int(h.size)
	return n / 2
}

// uint takes an unsigned integer; foreign encoders may have chosen a signed form.
func (r *reader) uint(what string) uint64 {
	if r.err == nil && r.pos < len(r.raw) && r.raw[r.pos] < fixMap { // the usual case, without the calls
		r.pos++
		return uint64(r.raw[r.pos-1])
	}
	c, h, _, ok := r.head()
	if !ok {
		r.fail(what)
		return 0
	}
	v, negative, ok := integer(c, r.raw[r.pos+1:])
	if !ok || negative {
		r.fail(what)
		return 0
	}
	r.pos += int(h.size)
	return v
}

// integer is the value of an integer whose first byte is c; b holds the rest.
func integer(c byte, b []byte) (v uint64, negative, ok bool) {
	var signed int64
	switch {
	case c < fixMap:
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
		case codeInt8:
			signed = int64(int8(b[0]))
		case codeInt16:
			signed = int64(int16(binary.BigEndian.Uint16(b)))
		case codeInt32:
			signed = int64(int32(binary.BigEndian.Uint32(b)))
		case codeInt64:
			signed = int64(binary.BigEndian.Uint64(b))
		default:
			return 0, false, false
		}
	}
	return uint64(signed), signed < 0, true
}

// isString tells whether c begins a string.
func isString(c byte) bool {
	return c >= fixStr && c < codeNil || c >= codeStr8 && c <= codeStr32
}

// isArray tells whether c begins an array.
func isArray(c byte) bool {
	return c >= fixArray && c < fixStr || c == codeArray16 || c == codeArray32
}

// str takes a string and returns its bytes, which lie in raw.
func (r *reader) str(what string) []byte {
	c, h, n, ok := r.head()
	if !ok || !isString(c) {
		r.fail(what)
		return nil
	}
	start := r.pos + int(h.size)
	if h.length == 0 {
		start = r.pos + 1
		n = int(h.size) - 1
	}
	r.pos = start + n
	return r.raw[start:r.pos:r.pos]
}

// bool takes a boolean.
func (r *reader) bool(what string) bool {
	c, _, _, ok := r.head()
	if !ok || c != codeFalse && c != codeTrue {
		r.fail(what)
		return false
	}
	r.pos++
	return c == codeTrue
}

// skip takes one whole value and returns it.
func (r *reader) skip(what string) []byte {
	start := r.pos
	for pending := 1; pending > 0; pending-- {
		if r.pos < len(r.raw) { // the usual case, without the calls
			if h := &headers[r.raw[r.pos]]; h.length == 0 && h.kind != invalid && int(h.size) <= len(r.raw)-r.pos {
				r.pos += int(h.size)
				pending += int(h.count)
				continue
			}
		}
		_, h, n, ok := r.head()
		if !ok {
			r.fail(what)
			return nil
		}
		r.pos += int(h.size)
		if h.kind == container {
			pending += n
		} else {
			r.pos += n
		}
	}
	return r.raw[start:r.pos:r.pos]
}

// end demands that nothing follows.
func (r *reader) end() error {
	if r.err == nil && r.pos < len(r.raw) {
		r.err = malformed(r.pos, "%d bytes too many", len(r.raw)-r.pos)
	}
	return r.err
}
