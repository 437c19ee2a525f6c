package codec

import (
	"reflect"
	"testing"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/wire"
)

// selfMade encodes itself as one number.
type selfMade struct{ n int }

func (s selfMade) EncodeMsgpack(enc *msgpack.Encoder) error { return enc.EncodeInt(int64(s.n) + 1) }

func (s *selfMade) DecodeMsgpack(dec *msgpack.Decoder) error {
	n, err := dec.DecodeInt()
	s.n = n - 1
	return err
}

// overruled has the same methods, and the library was told to do something else.
type overruled struct{ selfMade }

func init() {
	msgpack.Register(overruled{},
		func(enc *msgpack.Encoder, v reflect.Value) error { return enc.EncodeString("overruled") },
		func(dec *msgpack.Decoder, v reflect.Value) error { _, err := dec.DecodeString(); return err })
}

// moody cannot encode its zero value.
type moody struct{ p *int }

func (m *moody) EncodeMsgpack(enc *msgpack.Encoder) error { return enc.EncodeInt(int64(*m.p)) }
func (m *moody) DecodeMsgpack(dec *msgpack.Decoder) error {
	n, err := dec.DecodeInt()
	m.p = &n
	return err
}

func TestCallsItself(t *testing.T) {
	for _, c := range []struct {
		value any
		want  bool
	}{{selfMade{}, true}, {overruled{}, false}, {moody{}, false}, {struct{ N int }{}, false}} {
		typ := reflect.TypeOf(c.value)
		if got := callsItself(typ, planOf(typ)); got != c.want {
			t.Errorf("%v: %v", typ, got)
		}
	}
	var codec Codec[selfMade]
	for _, args := range []bool{false, true} {
		var buf, library Buffer
		in := selfMade{41}
		if err := codec.encode(&buf, &in, false, args); err != nil {
			t.Fatal(err)
		}
		if err := encode(&library, in, false, args); err != nil || string(buf.B) != string(library.B) {
			t.Fatalf("% x, the library % x, %v", buf.B, library.B, err)
		}
		var out selfMade
		if err := codec.decode(&Source{B: buf.B}, &out, args); err != nil || out != in {
			t.Error(out, err)
		}
	}
	out := selfMade{7} // nil is the library's business: it makes a zero value of it
	if err := codec.Decode(&Source{B: []byte{wire.CodeNil}}, &out); err != nil || out != (selfMade{}) {
		t.Error(out, err)
	}
	var pointers Codec[*selfMade] // its plan is known by now, and a nil pointer has no methods to call
	var none Buffer
	if err := pointers.Encode(&none, new(*selfMade), false); err != nil || string(none.B) != "\xc0" {
		t.Errorf("nil pointer: % x, %v", none.B, err)
	}
	n := 3
	var moodyCodec Codec[moody]
	var buf Buffer
	if err := moodyCodec.Encode(&buf, &moody{&n}, false); err != nil || string(buf.B) != "\x03" {
		t.Errorf("% x %v", buf.B, err)
	}
}
