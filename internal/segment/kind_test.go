package segment

import (
	"math"
	"reflect"
	"testing"
)

func TestTexts(t *testing.T) {
	for got, want := range map[string]string{
		Mode(9).String():           "mode(9)",
		Kind(0).String():           "unknown type 0",
		Kind(77).String():          "unknown type 77",
		FormatBytes(1023):          "1023 bytes",
		FormatBytes(3 << 29):       "1.5 GiB",
		FormatBytes(math.MaxInt64): "8.0 EiB",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestKindOf(t *testing.T) {
	type named int32
	for _, c := range []struct {
		t    reflect.Type
		want Kind
	}{
		{reflect.TypeFor[array[float32]](), kindFloat32},
		{reflect.TypeFor[array[named]](), kindInt32},
		{reflect.TypeFor[array[string]](), 0},
		{reflect.TypeFor[*array[int8]](), 0},
		{reflect.TypeFor[struct{ array[int8] }](), 0},
		{reflect.TypeFor[View](), 0},
		{reflect.TypeFor[int8](), 0},
	} {
		if k := KindOf(c.t); k != c.want {
			t.Errorf("%v: %v, want %v", c.t, k, c.want)
		}
	}
}
