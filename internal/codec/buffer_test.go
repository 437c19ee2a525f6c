package codec

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/shm"
)

type frames struct {
	Name  string
	Left  shm.Array[float32]
	Right shm.Array[float32]
	More  []shm.Array[uint8]
	None  shm.Array[int64]
}

func array[T shm.Number](t *testing.T, values ...T) shm.Array[T] {
	t.Helper()
	a, err := shm.New[T](len(values))
	if err != nil {
		t.Fatal(err)
	}
	copy(a.Data(), values)
	return a
}

// settled checks that every segment made since it was called is gone again.
func settled(t *testing.T) {
	before := shm.Stats()
	t.Cleanup(func() {
		if after := shm.Stats(); after.Segments != before.Segments || after.Handles != before.Handles {
			t.Errorf("segments and handles left: %+v, before %+v", after, before)
		}
	})
}

func TestArraysTravel(t *testing.T) {
	for _, arrays := range []bool{false, true} {
		settled(t)
		left, bytes := array[float32](t, 1, 2, 3), array[uint8](t, 9)
		in := frames{Name: "n", Left: left, Right: left, More: []shm.Array[uint8]{bytes, {}}}
		var buf Buffer
		if err := EncodeArgs(&buf, &in, arrays); err != nil {
			t.Fatal(err)
		}
		if len(buf.Segments) != 2 {
			t.Errorf("%d segments carried, want 2: one was sent twice", len(buf.Segments))
		}
		left.Release()
		bytes.Release()

		src := Source{B: buf.B, Segments: buf.TakeSegments(nil)}
		var out frames
		if err := DecodeArgs(&src, &out); err != nil {
			t.Fatal(err)
		}
		for _, s := range src.Segments {
			s.Release() // the handles hold them
		}
		if !slices.Equal(out.Left.Data(), []float32{1, 2, 3}) || !slices.Equal(out.Right.Data(), []float32{1, 2, 3}) || out.More[0].Data()[0] != 9 || out.None.Len() != 0 {
			t.Errorf("%+v", out)
		}
		kept := out.Right.Keep()
		src.AutoRelease()
		if _, err := out.Left.Slice(); !errors.Is(err, shm.ErrReleased) {
			t.Errorf("after the handler: %v", err)
		}
		if _, err := kept.Slice(); err != nil {
			t.Errorf("the one kept: %v", err)
		}
		kept.Release()
		src.AutoRelease() // nothing is left to release
	}
}

// A reply moves its arrays to the caller, unless their owner keeps them.
func TestReplyMovesArrays(t *testing.T) {
	settled(t)
	moved, kept := array[int64](t, 1), array[int64](t, 2)
	kept.Keep()
	buf := GetBuffer()
	if err := Encode(buf, []shm.Array[int64]{moved, kept}, false); err != nil {
		t.Fatal(err)
	}
	buf.AutoRelease()
	if _, err := moved.Slice(); !errors.Is(err, shm.ErrReleased) {
		t.Errorf("the moved one: %v", err)
	}
	if _, err := kept.Slice(); err != nil {
		t.Errorf("the one kept: %v", err)
	}
	kept.Release()
	PutBuffer(buf) // releases what it carries
}

func TestFailedReplyMovesNothing(t *testing.T) {
	settled(t)
	a := array[int64](t, 1)
	var buf Buffer
	if err := Encode(&buf, []any{a, &own{"error"}}, false); !errors.Is(err, io.ErrClosedPipe) {
		t.Fatal(err)
	}
	buf.AutoRelease()
	if _, err := a.Slice(); err != nil {
		t.Errorf("the array of a reply that failed: %v", err)
	}
	buf.Reset()
	a.Release()
}

func TestArrayReferencesAreChecked(t *testing.T) {
	settled(t)
	a := array[uint8](t, 1, 2)
	var buf Buffer
	if err := Encode(&buf, a, false); err != nil {
		t.Fatal(err)
	}
	var got shm.Array[uint8]
	var bad *segment.ReferenceError
	if err := Decode(&Source{B: buf.B}, &got); !errors.As(err, &bad) {
		t.Errorf("without its segment: %v", err)
	}
	if err := Decode(&Source{B: append([]byte{buf.B[0], 0xff}, buf.B[2:]...), Segments: buf.Segments}, &got); !errors.As(err, &bad) {
		t.Errorf("segment -1: %v", err)
	}
	buf.Reset()
	a.Release()
}

func TestTooManySegments(t *testing.T) {
	settled(t)
	list := make([]shm.Array[uint8], MaxSegments+1)
	for i := range list {
		list[i] = array[uint8](t, 1)
	}
	var buf Buffer
	if err := Encode(&buf, list[:MaxSegments], false); err != nil {
		t.Error(err)
	}
	if err := Encode(&buf, list[MaxSegments], false); err == nil {
		t.Errorf("%d segments carried", len(buf.Segments))
	}
	buf.Reset()
	for _, a := range list {
		a.Release()
	}
}

func TestBufferPool(t *testing.T) {
	b := GetBuffer()
	b.Limits, b.Context = wire.Limits{Bytes: 1 << 30}, "context"
	if err := Encode(b, make([]byte, 2*Keep), false); err != nil {
		t.Fatal(err)
	}
	PutBuffer(b)
	if b.B != nil || b.Context != nil || b.Limits != (wire.Limits{}) {
		t.Errorf("in the pool: %d bytes, %v, %v", cap(b.B), b.Context, b.Limits)
	}
}

// A buffer is an ordinary writer outside Encode: envelopes are written to it.
func TestBufferWrites(t *testing.T) {
	var b Buffer
	if n, err := b.Write(bytes.Repeat([]byte{0xc1}, 2*stride)); n != 2*stride || err != nil {
		t.Error(n, err)
	}
	if err := b.WriteByte(0xc1); err != nil {
		t.Error(err)
	}
	if len(b.B) != 2*stride+1 {
		t.Errorf("%d bytes", len(b.B))
	}
}
