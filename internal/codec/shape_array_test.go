package codec

import (
	"bytes"
	"slices"
	"testing"

	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/shm"
)

// referring is a struct with arrays of several types and dimensions.
type referring struct {
	N     int
	Data  shm.Array[uint64]
	Name  string
	Other shm.Array[float32] `msgpack:"other"`
	More  shm.Array[uint64]
}

type referringArgs struct {
	Args
	Data shm.Array[uint64]
	Last uint64
}

func TestWhoHasAShapeWithArrays(t *testing.T) {
	type own shm.Array[uint8] // has nothing that travels
	for name, s := range map[string]*shape{
		"struct": shapeFor[referring](), "arguments": shapeFor[referringArgs](), "alone": shapeFor[shm.Array[int8]](),
	} {
		if s == nil || !s.refers {
			t.Errorf("%s: no shape, or one without arrays", name)
		}
	}
	for name, s := range map[string]*shape{
		"embedded": shapeFor[struct{ shm.Array[uint8] }](), "embedded behind": shapeFor[struct {
			A int
			shm.Array[uint8]
		}](), "within": shapeFor[struct{ A struct{ shm.Array[uint8] } }](),
		"pointer": shapeFor[struct{ A *shm.Array[uint8] }](), "slice": shapeFor[[]shm.Array[uint8]](),
		"own": shapeFor[struct{ A own }](),
		"omitempty": shapeFor[struct {
			A shm.Array[uint8] `msgpack:",omitempty"`
		}](),
	} {
		if s != nil {
			t.Errorf("%s: has a shape", name)
		}
	}
	if new(Codec[referring]).Plain() || new(Codec[shm.Array[int8]]).Plain() {
		t.Error("what refers to something is more than its bytes")
	}
}

// noArraysLeft fails a test that leaves handles or segments.
func noArraysLeft(t testing.TB) {
	t.Helper()
	before := shm.Stats()
	t.Cleanup(func() {
		if s := shm.Stats(); s.Segments != before.Segments || s.Handles != before.Handles {
			t.Errorf("left over: %+v, before: %+v", s, before)
		}
	})
}

func newArray[T shm.Number](t testing.TB, shape ...int) shm.Array[T] {
	t.Helper()
	a, err := shm.New[T](shape...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Release)
	return a
}

// sameReferences is sameEncoding and sameDecoding for what carries segments,
// of which the same must be told.
func sameReferences[T any](t *testing.T, v T) {
	t.Helper()
	var c Codec[T]
	for _, arrays := range []bool{false, true} {
		for _, args := range []bool{false, true} {
			ours, theirs := GetBuffer(), GetBuffer()
			err1, err2 := c.encode(ours, &v, arrays, args), encode(theirs, v, arrays, args)
			if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() || !bytes.Equal(ours.B, theirs.B) {
				t.Fatalf("%+v, arrays %v, args %v: %x (%v), the library: %x (%v)", v, arrays, args, ours.B, err1, theirs.B, err2)
			}
			if !slices.Equal(ours.Segments, theirs.Segments) || !slices.Equal(ours.sent, theirs.sent) {
				t.Fatalf("%+v: carries %v, sent %v; the library: %v, %v", v, ours.Segments, ours.sent, theirs.Segments, theirs.sent)
			}
			if err1 == nil {
				sameReading[T](t, ours.B, ours.Segments, args)
			}
			PutBuffer(ours)
			PutBuffer(theirs)
		}
	}
}

func sameReading[T any](t *testing.T, raw []byte, segments []*segment.Segment, args bool) {
	t.Helper()
	var c Codec[T]
	var ours, theirs T
	src1, src2 := Source{B: raw, Segments: segments}, Source{B: raw, Segments: segments}
	before := shm.Stats().Handles
	err1 := c.decode(&src1, &ours, args)
	between := shm.Stats().Handles
	err2 := decode(&src2, &theirs, args)
	after := shm.Stats().Handles
	defer src1.AutoRelease()
	defer src2.AutoRelease()
	if (err1 == nil) != (err2 == nil) || err1 != nil && err1.Error() != err2.Error() {
		t.Fatalf("%T from %x, args %v: %v, the library: %v", ours, raw, args, err1, err2)
	}
	if len(src1.received) != len(src2.received) || between-before != after-between || between-before != len(src1.received) {
		t.Fatalf("%T from %x: received %d arrays, %d handles, the library: %d, %d",
			ours, raw, len(src1.received), between-before, len(src2.received), after-between)
	}
	var b1, b2 Buffer
	defer b1.Reset()
	defer b2.Reset()
	if encode(&b1, &ours, true, false) != nil || encode(&b2, &theirs, true, false) != nil ||
		!bytes.Equal(b1.B, b2.B) || !slices.Equal(b1.Segments, b2.Segments) {
		t.Fatalf("%x, args %v: %+v, the library: %+v", raw, args, ours, theirs)
	}
}

func TestArraysInShapes(t *testing.T) {
	noArraysLeft(t)
	long, flat := newArray[uint64](t, 70000), newArray[uint64](t, 12, 10)
	floats, deep := newArray[float32](t, 2, 3, 4, 5), newArray[uint64](t, 1, 1, 2, 1, 1)
	none, gone := newArray[float32](t, 0, 3), newArray[uint64](t, 1)
	gone.Release()
	shared, err := shm.NewShared[uint64](300)
	if err != nil {
		t.Fatal(err)
	}
	defer shared.Release()
	for _, v := range []referring{
		{}, {N: 1, Data: long, Name: "n", Other: floats, More: flat}, {Data: long, More: long.View(40000, 69999)},
		{Data: flat.View(3, 4), Other: none, More: shared}, {Other: floats.View(1, 1), More: long},
		{Data: long, Other: floats, More: deep},               // too deep for what comes first
		{Data: long, Other: floats, More: gone}, {Data: gone}, // the library says why
	} {
		sameReferences(t, v)
		sameReferences(t, referringArgs{Data: v.Data, Last: 1 << 63})
		sameReferences(t, v.Other)
	}
	// A moved array ends with its message, however it was encoded.
	moved := newArray[uint64](t, 9)
	buf := GetBuffer()
	if err := new(Codec[referring]).Encode(buf, &referring{Data: moved, More: long.Keep()}, true); err != nil {
		t.Fatal(err)
	}
	buf.AutoRelease()
	PutBuffer(buf)
	if _, err := moved.Slice(); err == nil {
		t.Error("a moved array is still there")
	}
	if _, err := long.Slice(); err != nil {
		t.Error(err)
	}
}

func FuzzShapeWithArrays(f *testing.F) {
	noArraysLeft(f)
	a, b := newArray[uint64](f, 40, 3), newArray[float32](f, 300)
	var buf Buffer
	f.Cleanup(buf.Reset)
	full := referring{N: 1, Data: a, Name: "n", Other: b.View(2, 200), More: a.View(1, 2)}
	for _, arrays := range []bool{false, true} {
		for _, args := range []bool{false, true} {
			at := len(buf.B)
			if err := new(Codec[referring]).encode(&buf, &full, arrays, args); err != nil {
				f.Fatal(err)
			}
			f.Add(slices.Clone(buf.B[at:]))
		}
	}
	for _, seed := range [][]byte{
		{0xc0}, {0x95, 0, 0, 1, 8, 1}, {0x95, 0, 8, 1, 8, 1}, {0x95, 0, 4, 1, 8, 1}, {0x95, 2, 0, 1, 8, 1}, {0x95, 0, 0, 121, 8, 121},
		{0x95, 0xc0, 0, 0, 8, 0}, {0x96, 0xc0, 0, 0, 8, 7, 0}, {0x95, 0xc0, 0, 1, 8, 1}, {0x95, 0, 0, 0, 8, 0}, {0x94, 0, 0, 1, 8}, {0x95, 0, 0, 1, 9, 1},
		{0x95, 0, 0, 0xd0, 1, 8, 1}, {0x95, 0xff, 0, 1, 8, 1}, {0x95, 0, 0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf8, 1, 8, 1},
		{0x92, 0x95, 0, 0, 1, 8, 1, 0xa0}, {0x92, 0x95, 0, 0, 1, 8, 1, 3}, {0x99, 0, 0, 1, 8, 1, 1, 1, 1, 1}, {0x98, 0, 0, 1, 8, 1, 1, 1, 1},
	} {
		f.Add(seed)
	}
	segments := buf.Segments
	f.Fuzz(func(t *testing.T, data []byte) {
		if (wire.Limits{Bytes: 1 << 20}).Check(data) != nil {
			return
		}
		for _, args := range []bool{false, true} {
			sameReading[referring](t, data, segments, args)
			sameReading[referringArgs](t, data, segments, args)
			sameReading[shm.Array[uint64]](t, data, segments, args)
		}
	})
}

// What an array costs to receive is its handle.
func TestArraysInShapesAllocateTheirHandle(t *testing.T) {
	noArraysLeft(t)
	v := referringArgs{Data: newArray[uint64](t, 10), Last: 3}
	var c Codec[referringArgs]
	buf, src := GetBuffer(), GetSource()
	defer PutBuffer(buf)
	defer PutSource(src)
	if n := testing.AllocsPerRun(100, func() {
		var got referringArgs
		buf.Reset()
		if err := c.EncodeArgs(buf, &v, true); err != nil {
			t.Fatal(err)
		}
		src.Segments = buf.Segments
		src.Reset(buf.B)
		if err := c.DecodeArgs(src, &got); err != nil || got.Data.Len() != 10 || got.Last != 3 {
			t.Fatal(got, err)
		}
		src.AutoRelease()
	}); n > 1 {
		t.Errorf("%v allocations", n)
	}
}
