package wire

import (
	"errors"
	"math"
	"slices"
	"testing"
)

func TestFields(t *testing.T) {
	var f Fields
	f.Int("int", 7)
	f.Int("least", math.MinInt64)
	f.Int("zero", 0)
	f.Uint("uint", math.MaxUint64)
	f.Bool("yes", true)
	f.Bool("no", false)
	f.String("string", "word")
	f.Strings("strings", []string{"a", "b"})
	f.Uints("uints", []uint64{1, 1 << 40})
	f.Raw("raw", []byte{0x92, 1, 2})
	if err := (Limits{}).Check(f.Params()); err != nil {
		t.Fatal(err)
	}
	var keys []string
	err := ReadParams(f.Params(), func(key string, f *Field) {
		keys = append(keys, key)
		var ok bool
		switch key {
		case "int":
			ok = f.Int() == 7
		case "least":
			ok = f.Int() == math.MinInt64
		case "uint":
			ok = f.Uint() == math.MaxUint64
		case "yes":
			ok = f.Bool()
		case "string":
			ok = f.String() == "word"
		case "strings":
			ok = slices.Equal(f.Strings(), []string{"a", "b"})
		case "uints":
			return // not taken: skipped
		case "raw":
			ok = slices.Equal(f.Raw(), []byte{0x92, 1, 2})
		}
		if !ok {
			t.Errorf("%s is something else", key)
		}
	})
	want := []string{"int", "least", "uint", "yes", "string", "strings", "uints", "raw"}
	if err != nil || !slices.Equal(keys, want) {
		t.Fatalf("read %v, %v", keys, err)
	}
	if err := ReadFields(f.Map(), func(_ string, f *Field) { f.Bool() }); !errors.Is(err, ErrProtocol) {
		t.Fatalf("a number taken for a truth value: %v", err)
	}
	for _, bad := range [][]byte{nil, {0x90}, {0xc0}, {0x91}, {0x91, 0x01}, {0x91, 0x81, 0x01, 0x01}, {0x91, 0x82, 0xa1, 'a', 0x01}} {
		if err := ReadParams(bad, func(_ string, f *Field) {}); !errors.Is(err, ErrProtocol) {
			t.Errorf("% x: %v", bad, err)
		}
	}
	if err := ReadFields(func() []byte { var f Fields; f.Uint("n", math.MaxUint64); return f.Map() }(), func(_ string, f *Field) { f.Int() }); !errors.Is(err, ErrProtocol) {
		t.Errorf("a number that does not fit: %v", err)
	}
}

func FuzzFields(f *testing.F) {
	var good Fields
	good.Int("int", -7)
	good.Strings("strings", []string{"a"})
	good.Raw("raw", []byte{0x92, 1, 2})
	f.Add(good.Params())
	f.Fuzz(func(t *testing.T, raw []byte) {
		if (Limits{}).Check(raw) != nil {
			return // only scanned bytes are read
		}
		for i := range 6 {
			_ = ReadParams(raw, func(_ string, f *Field) {
				switch i {
				case 0:
					f.Int()
				case 1:
					f.Uints()
				case 2:
					f.Bool()
				case 3:
					_ = f.String()
				case 4:
					f.Strings()
				case 5:
					f.Raw()
				}
			})
		}
	})
}
