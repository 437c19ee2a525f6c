package mailbox

import (
	"reflect"
	"testing"
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
