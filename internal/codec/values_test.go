package codec

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// rawBytes is a message in hexadecimal; blanks are for the reader.
func rawBytes(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	var buf Buffer
	if err := Encode(&buf, v, false); err != nil {
		t.Fatal(err)
	}
	return buf.B
}

// anyValue generates what decoding into an interface can give, at most depth
// containers deep.
func anyValue(depth int) *rapid.Generator[any] {
	leaf := rapid.OneOf(
		rapid.Just[any](nil),
		rapid.Map(rapid.Bool(), toAny),
		rapid.Map(rapid.Int64(), toAny),
		rapid.Map(rapid.Float64(), toAny),
		rapid.Map(rapid.StringN(0, 40, 300), toAny),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 300), toAny[[]byte]),
	)
	if depth == 0 {
		return leaf
	}
	inner := rapid.Deferred(func() *rapid.Generator[any] { return anyValue(depth - 1) })
	return rapid.OneOf(
		leaf,
		rapid.Map(rapid.SliceOfN(inner, 0, 20), toAny),
		rapid.Map(rapid.MapOfN(rapid.StringN(0, 8, 40), inner, 0, 20), toAny),
	)
}

func toAny[T any](v T) any { return v }

type inner struct {
	Name string
	Tags map[string]string
}

type Base struct {
	ID   uint64
	When time.Time
}

// everything has one field of each form that travels.
type everything struct {
	Base
	Bool    bool
	I8      int8
	I16     int16
	I32     int32
	I64     int64
	I       int
	U8      uint8
	U16     uint16
	U32     uint32
	U64     uint64
	F32     float32
	F64     float64
	S       string
	B       []byte
	D       time.Duration
	Fixed   [4]byte
	Triple  [3]int16
	Strings []string
	Ints    []int
	Structs []inner
	Nested  **inner
	Next    *everything
	M       map[string]inner
	MI      map[int32]string
	MA      map[string]any
	Any     any
	Renamed string `msgpack:"other"`
	Left    string `msgpack:"-"`
	Maybe   string `msgpack:",omitempty"`
	Tuple   tuple
}

type tuple struct {
	//lint:ignore U1000 the msgpack library reads its tag
	_msgpack struct{} `msgpack:",as_array"`
	X, Y     int
}

func benchValues() map[string]any {
	big := make([]inner, 1000)
	for i := range big {
		big[i] = inner{Name: "a name of usual length", Tags: map[string]string{"key": "value"}}
	}
	return map[string]any{
		"int":     42,
		"struct":  &inner{Name: "a name", Tags: nil},
		"structs": big,
		"bytes":   make([]byte, 1<<20),
		"ints":    make([]int, 100000),
	}
}

// raw is hexadecimal text as bytes.
func raw(t testing.TB, s string) []byte {
	t.Helper()
	return rawBytes(s)
}
