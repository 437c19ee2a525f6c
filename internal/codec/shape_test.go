package codec

import (
	"bytes"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/wire"
)

// scalars has a field of each kind that shapes know.
type scalars struct {
	B   bool
	I   int
	I8  int8
	I16 int16
	I32 int32
	I64 int64
	U   uint
	U8  uint8
	U16 uint16
	U32 uint32
	U64 uint64
	F32 float32
	F64 float64
	S   string
	Raw []byte
}

type (
	named struct {
		N      grade  `msgpack:"n"`
		Hidden string `msgpack:"-"`
		_      int
		D      time.Duration `msgpack:"the_time"`
	}
	grade  int16
	listed struct {
		Args
		Path string
		Line int
	}
	registered struct{ A int }
	number     int
	blob       []byte
)

func init() {
	msgpack.Register(registered{},
		func(e *msgpack.Encoder, v reflect.Value) error { return e.EncodeString("mine") },
		func(d *msgpack.Decoder, v reflect.Value) error { return d.Skip() })
}

func shapeFor[T any]() *shape {
	c := new(Codec[T])
	return c.know().shape
}

func TestWhoHasAShape(t *testing.T) {
	type pair[T any] struct {
		A int
		B T
	}
	for name, s := range map[string]*shape{
		"scalars": shapeFor[scalars](), "named": shapeFor[named](), "arguments": shapeFor[listed](), "no arguments": shapeFor[none](),
		"int": shapeFor[int](), "string": shapeFor[string](), "bytes": shapeFor[[]byte](), "named bytes": shapeFor[blob](),
		"bool": shapeFor[bool](), "float32": shapeFor[float32](), "float64": shapeFor[float64](), "number": shapeFor[number](),
		"duration": shapeFor[time.Duration](), "empty": shapeFor[struct{}](),
	} {
		if s == nil {
			t.Errorf("%s: no shape", name)
		}
	}
	for name, s := range map[string]*shape{
		"own methods": shapeFor[ownWord](), "own bytes": shapeFor[bytesWord](), "within": shapeFor[pair[ownWord]](),
		"time": shapeFor[time.Time](), "raw": shapeFor[msgpack.RawMessage](), "registered": shapeFor[registered](),
		"pointer": shapeFor[*word](), "any": shapeFor[any](), "error": shapeFor[pair[error]](), "map": shapeFor[map[string]int](),
		"slice": shapeFor[[]int](), "array": shapeFor[[4]byte](), "nested": shapeFor[pair[word]](), "complex": shapeFor[complex64](),
		"uintptr": shapeFor[uintptr](), "unexported only": shapeFor[struct{ a int }](), "named byte": shapeFor[pair[[]registeredByte]](),
		"omitempty": shapeFor[struct {
			A int `msgpack:"a,omitempty"`
		}](),
		"as array": shapeFor[struct {
			_msgpack struct{} `msgpack:",as_array"`
			A        int
		}](),
		"alias": shapeFor[struct {
			A int `msgpack:"a,alias:b"`
		}](),
		"twice": shapeFor[struct {
			A int `msgpack:"a"`
			B int `msgpack:"a"`
		}](),
		"intern": shapeFor[struct {
			A string `msgpack:",intern"`
		}](),
		"embedded": shapeFor[struct{ word }](),
		"many":     shapeFor[struct{ A, B, C, D, E, F, G, H, I, J, K, L, M, N, O, P int }](),
	} {
		if s != nil {
			t.Errorf("%s: has a shape", name)
		}
	}
}

type registeredByte byte

// sample makes a value out of bytes.
func sample(data []byte) scalars {
	next := func() (n uint64) {
		for i := 0; i < 8 && len(data) > 0; i++ {
			n, data = n<<8|uint64(data[0]), data[1:]
		}
		return n >> (n & 63)
	}
	e := scalars{B: next()&1 == 1, I: int(next()), I8: int8(next()), I16: int16(next()), I32: int32(next()), I64: -int64(next()),
		U: uint(next()), U8: uint8(next()), U16: uint16(next()), U32: uint32(next()), U64: next(),
		F32: math.Float32frombits(uint32(next())), F64: math.Float64frombits(next())}
	if n := next(); n&1 == 1 {
		e.Raw = bytes.Repeat([]byte{byte(n)}, int(n&0x1ffff))
	}
	e.S = string(data)
	return e
}

// sameEncoding compares a codec with the library.
func sameEncoding[T any](t *testing.T, v T) []byte {
	t.Helper()
	var c Codec[T]
	var last []byte
	for _, arrays := range []bool{false, true} {
		for _, args := range []bool{false, true} {
			var ours, theirs Buffer
			err1, err2 := c.encode(&ours, &v, arrays, args), encode(&theirs, &v, arrays, args)
			if (err1 == nil) != (err2 == nil) || !bytes.Equal(ours.B, theirs.B) {
				t.Fatalf("%T, arrays %v, args %v: %x (%v), the library: %x (%v)", v, arrays, args, ours.B, err1, theirs.B, err2)
			}
			sameDecoding[T](t, ours.B)
			last = ours.B
		}
	}
	return last
}

func sameDecoding[T any](t *testing.T, raw []byte) {
	t.Helper()
	var c Codec[T]
	for _, args := range []bool{false, true} {
		var ours, theirs T
		err1, err2 := c.decode(&Source{B: raw}, &ours, args), decode(&Source{B: raw}, &theirs, args)
		if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() {
			t.Fatalf("%T from %x, args %v: %v, the library: %v", ours, raw, args, err1, err2)
		}
		var b1, b2 Buffer // so that floats that are not numbers are alike
		if encode(&b1, &ours, true, false) != nil || encode(&b2, &theirs, true, false) != nil || !bytes.Equal(b1.B, b2.B) {
			t.Fatalf("%x, args %v: %#v, the library: %#v", raw, args, ours, theirs)
		}
	}
}

func FuzzShape(f *testing.F) {
	var full Buffer
	v := sample(bytes.Repeat([]byte{0xff, 7, 0x80, 1}, 40))
	if err := EncodeArgs(&full, &v, false); err != nil {
		f.Fatal(err)
	}
	f.Add(full.B)
	for _, seed := range [][]byte{
		{}, {0x92, 1, 0xa1, 'x'}, {0x91, 0x92, 1, 0xa1, 'x'}, {0x82, 0xa1, 'N', 1, 0xa1, 'S', 0xa1, 'x'}, {0x82, 0xa1, 'S', 0xa1, 'x', 0xa1, 'N', 1},
		{0x92, 0xc0, 0xc0}, {0x92, 0xca, 0x7f, 0x80, 0, 1, 0xa0}, {0x92, 0xd3, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xc4, 1, 'x'},
		{0xca, 0x7f, 0x80, 0, 1}, {0xcb, 0x7f, 0xf0, 0, 0, 0, 0, 0, 1}, {0xc4, 0}, {0xc0}, {0x90}, {0x80}, {0xdc, 0, 2, 1, 0xa0}, {0x92, 1, 0xa0, 0},
		{0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, {0xd0, 0x80}, {0xd9, 1, 'x'}, {0x93, 1, 2, 3}, {0xc3}, {0x91, 0xc3},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v := sample(data)
		sameEncoding(t, v)
		sameEncoding(t, word{v.I, v.S})
		sameEncoding(t, named{N: grade(v.I16), D: time.Duration(v.I64), Hidden: v.S})
		sameEncoding(t, listed{Path: v.S, Line: v.I})
		sameEncoding(t, v.F32)
		sameEncoding(t, v.F64)
		sameEncoding(t, v.S)
		sameEncoding(t, v.U64)
		sameEncoding(t, v.I8)
		sameEncoding(t, v.Raw)
		sameEncoding(t, v.B)
		if (wire.Limits{Bytes: 1 << 20}).Check(data) != nil {
			return // what no scanner lets pass, no decoder sees
		}
		sameDecoding[scalars](t, data)
		sameDecoding[word](t, data)
		sameDecoding[named](t, data)
		sameDecoding[listed](t, data)
		sameDecoding[none](t, data)
		sameDecoding[float32](t, data)
		sameDecoding[float64](t, data)
		sameDecoding[string](t, data)
		sameDecoding[uint16](t, data)
		sameDecoding[int8](t, data)
		sameDecoding[number](t, data)
		sameDecoding[[]byte](t, data)
		sameDecoding[bool](t, data)
	})
}

// The limits hold for shapes, too, and the errors are those of the library.
func TestShapesKeepTheLimits(t *testing.T) {
	v := word{1, string(make([]byte, 100))}
	for _, lim := range []wire.Limits{{Bytes: 50}, {Bytes: 104}, {Bytes: 105}, {Depth: 1}, {Depth: 2}, {Elements: 1}, {Elements: 2}, {Elements: 4}} {
		for _, args := range []bool{false, true} {
			var c Codec[word]
			ours, theirs := Buffer{Limits: lim}, Buffer{Limits: lim}
			err1, err2 := c.encode(&ours, &v, true, args), encode(&theirs, v, true, args)
			if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() || !bytes.Equal(ours.B, theirs.B) {
				t.Errorf("%+v, args %v: %v, the library: %v", lim, args, err1, err2)
			}
		}
	}
}

// A codec's value stays on its caller's stack, whatever is left to the library.
func TestCodecDoesNotAllocateForShapes(t *testing.T) {
	var c Codec[word]
	buf, src := GetBuffer(), GetSource()
	defer PutBuffer(buf)
	defer PutSource(src)
	for _, arrays := range []bool{false, true} {
		if n := testing.AllocsPerRun(100, func() {
			v, got := word{N: 1}, word{}
			buf.Reset()
			if err := c.EncodeArgs(buf, &v, arrays); err != nil {
				t.Fatal(err)
			}
			src.Reset(buf.B)
			if err := c.DecodeArgs(src, &got); err != nil || got != v {
				t.Fatal(got, err)
			}
		}); n != 0 {
			t.Errorf("arrays %v: %v allocations", arrays, n)
		}
	}
}
