package codec

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/internal/wire"
)

type (
	wide struct {
		Data [1 << 10]byte
		L    []wide
		M    map[string]*wide
		A    any
	}
	// Wide is embedded by pointer.
	Wide   struct{ Data [1 << 10]byte }
	holder struct{ *Wide }
)

// A short message cannot make much memory, whatever it is decoded into.
func TestDecodingIsBoundedByWhatItMakes(t *testing.T) {
	const n = 1 << 20
	fill := func(unit string) []byte {
		u := rawBytes(unit)
		return append(rawBytes("dd 00100000"), bytes.Repeat(u, n)...)
	}
	pairs := func(unit string) []byte {
		return append(rawBytes("df 00080000"), bytes.Repeat(rawBytes(unit), n/2)...)
	}
	in := func(key string, b []byte) []byte {
		return append(append(rawBytes("81"), wire.AppendString(nil, key)...), b...)
	}
	for name, tc := range map[string]struct {
		message []byte
		into    any
	}{
		"nils in a list":               {fill("c0"), new([]wide)},
		"empty maps in a list":         {fill("80"), new([]wide)},
		"empty lists in a list":        {fill("90"), new([]Wide)},
		"nils in arrays":               {fill("91 c0"), new([][2]Wide)},
		"maps behind pointers":         {fill("80"), new([]*wide)},
		"pointers to pointers":         {fill("80"), new([]***wide)},
		"embedded pointers":            {fill("91 c0"), new([]holder)},
		"embedded pointers, by name":   {fill("81 a4 44617461 c0"), new([]holder)},
		"a field deep inside":          {in("L", in("L", fill("80"))), nil},
		"a field of a field":           {append(rawBytes("91 81 a1 4c"), fill("c0")...), new([]wide)},
		"numbers as keys":              {pairs("00 80"), new(map[int]wide)},
		"one key again and again":      {pairs("a0 80"), new(map[string]*wide)},
		"keys":                         {pairs("80 c0"), new(map[Wide]int)},
		"an argument":                  {append(rawBytes("91"), fill("80")...), new([]wide)},
		"an argument among others":     {append(rawBytes("92 01"), fill("80")...), new(spreadWide)},
		"an argument behind a pointer": {append(rawBytes("92 01"), fill("80")...), new(*spreadWide)},
	} {
		if tc.into == nil {
			continue
		}
		if err := (wire.Limits{Elements: 4 << 20, Bytes: 32 << 20}).Check(tc.message); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		args := strings.Contains(name, "argument")
		_ = decode(&Source{B: []byte{wire.CodeNil}}, tc.into, args) // what is made once for each type
		var err error
		made := allocated(func() { err = decode(&Source{B: tc.message}, tc.into, args) })
		if !errors.Is(err, wire.ErrTooLarge) || !strings.Contains(err.Error(), "MiB") {
			t.Errorf("%s: %v", name, err)
		}
		if made > 1<<20 {
			t.Errorf("%s: %d bytes were made", name, made)
		}
	}
}

type spreadWide struct {
	Args
	N int
	L []wide
}

// What is rightful passes: as much as a message has bytes for, or a little.
func TestRightfulMemory(t *testing.T) {
	for name, v := range map[string]any{
		"floats beside large structs": &struct {
			W []Wide
			F []float64
		}{make([]Wide, 1000), make([]float64, 1<<19)},
		"large structs": ptr(make([]Wide, 4000)),
		"numbers":       ptr(make([]int, 1<<20)),
		"pointers":      ptr(make([]*Wide, 1<<20)),
		"anything":      ptr(make([]any, 1<<20)),
		"structs":       ptr(make([]point, 1<<18)),
	} {
		buf := Buffer{Limits: wire.Limits{Bytes: 1 << 30}}
		if err := Encode(&buf, v, true); err != nil {
			t.Fatal(err)
		}
		if err := Decode(&Source{B: buf.B}, v); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func ptr[T any](v T) *T { return &v }
