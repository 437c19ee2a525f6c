package codec

import (
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/wire"
)

// A call's arguments: small, and typical.
type point struct {
	X, Y  int
	Label string
}

func TestCodecDoesNotAllocate(t *testing.T) {
	v := &point{1, 2, "label"}
	buf := GetBuffer()
	defer PutBuffer(buf)
	for _, arrays := range []bool{false, true} {
		if n := testing.AllocsPerRun(1000, func() {
			buf.Reset()
			if err := EncodeArgs(buf, v, arrays); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations to encode, arrays %v", n, arrays)
		}
		var got point
		var src Source
		if n := testing.AllocsPerRun(1000, func() {
			src.Reset(buf.B)
			if err := DecodeArgs(&src, &got); err != nil {
				t.Fatal(err)
			}
		}); n > 2 || got != *v { // the label, and for an array the library's error that it is no map
			t.Errorf("%v allocations to decode %+v, arrays %v", n, got, arrays)
		}
	}
}

func BenchmarkEncode(b *testing.B) {
	values := benchValues()
	values["point"] = &point{1, 2, "label"}
	for name, v := range values {
		b.Run(name, func(b *testing.B) {
			buf := GetBuffer()
			b.ReportAllocs()
			for b.Loop() {
				buf.Reset()
				if err := EncodeArgs(buf, v, true); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	values := benchValues()
	values["point"] = &point{1, 2, "label"}
	for name, v := range values {
		t := reflect.TypeOf(v)
		if t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		into := reflect.New(t).Interface()
		var buf Buffer
		if err := EncodeArgs(&buf, v, true); err != nil {
			b.Fatal(err)
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var src Source
			for b.Loop() {
				src.Reset(buf.B)
				if err := DecodeArgs(&src, into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// word is a small call's argument, and ownWord and bytesWord the same with the
// two kinds of methods that a type can bring.
type word struct {
	N int
	S string
}

type ownWord word

func (w *ownWord) EncodeMsgpack(e *msgpack.Encoder) error {
	if err := e.EncodeArrayLen(2); err != nil {
		return err
	}
	if err := e.EncodeInt(int64(w.N)); err != nil {
		return err
	}
	return e.EncodeString(w.S)
}

func (w *ownWord) DecodeMsgpack(d *msgpack.Decoder) (err error) {
	if _, err = d.DecodeArrayLen(); err != nil {
		return err
	}
	if w.N, err = d.DecodeInt(); err != nil {
		return err
	}
	w.S, err = d.DecodeString()
	return err
}

type bytesWord word

func (w bytesWord) MarshalMsgpack() ([]byte, error) {
	return wire.AppendString(append(make([]byte, 0, 64), wire.FixArray|2, byte(w.N)), w.S), nil
}

func (w *bytesWord) UnmarshalMsgpack(b []byte) error {
	w.N, w.S = int(b[1]), string(b[3:])
	return nil
}

// BenchmarkSend is the sender's part: the whole message.
func BenchmarkSend(b *testing.B) {
	benchSend(b, "struct", &word{1, "label"})
	benchSend(b, "own", &ownWord{1, "label"})
	benchSend(b, "bytes", &bytesWord{1, "label"})
}

func benchSend[T any](b *testing.B, name string, v *T) {
	b.Run(name, func(b *testing.B) {
		var c Codec[T]
		b.ReportAllocs()
		for b.Loop() {
			buf := GetBuffer()
			buf.B = wire.AppendRequestHead(buf.B, 7, "method")
			if err := c.EncodeArgs(buf, v, true); err != nil {
				b.Fatal(err)
			}
			PutBuffer(buf)
		}
	})
}

// BenchmarkReceive is the receiver's: scan, take apart, decode.
func BenchmarkReceive(b *testing.B) {
	benchReceive(b, "struct", &word{1, "label"})
	benchReceive(b, "own", &ownWord{1, "label"})
	benchReceive(b, "bytes", &bytesWord{1, "label"})
}

func benchReceive[T any](b *testing.B, name string, v *T) {
	wire.Intern("method")
	b.Run(name, func(b *testing.B) {
		buf := &Buffer{B: wire.AppendRequestHead(nil, 7, "method")}
		if err := EncodeArgs(buf, v, true); err != nil {
			b.Fatal(err)
		}
		var scanner wire.Scanner
		var c Codec[T]
		src := GetSource()
		defer PutSource(src)
		b.ReportAllocs()
		for b.Loop() {
			if n, err := scanner.Frame(buf.B); err != nil || n != len(buf.B) {
				b.Fatal(n, err)
			}
			env, err := wire.ParseEnvelope(buf.B)
			if err != nil {
				b.Fatal(err)
			}
			var got T
			src.Reset(env.Params)
			if err := c.DecodeArgs(src, &got); err != nil {
				b.Fatal(err)
			}
		}
	})
}
