package wire

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"

	"pgregory.net/rapid"
)

func TestMeta(t *testing.T) {
	for _, tc := range []struct {
		meta Meta
		wire string
	}{
		{Meta{}, "90"},
		{Meta{Deadline: 200}, "91 cc c8"},
		{Meta{Chain: []uint64{1, 300}}, "92 c0 92 01 cd 012c"},
		{Meta{Deadline: 1, Segments: []uint64{9}}, "93 01 c0 91 09"},
		{Meta{Trace: map[string]string{"a": "b"}}, "94 c0 c0 c0 81 a1 61 a1 62"},
		{Meta{Stream: true}, "95 c0 c0 c0 c0 c3"},
		{Meta{Window: 16}, "96 c0 c0 c0 c0 c0 10"},
		{Meta{Deadline: math.MaxInt64, Stream: true, Window: math.MaxInt32}, "96 cf 7fffffffffffffff c0 c0 c0 c3 ce 7fffffff"},
	} {
		if got := tc.meta.Append(nil); !bytes.Equal(got, unhex(t, tc.wire)) {
			t.Errorf("%+v: %x, want %s", tc.meta, got, tc.wire)
		}
		if got, err := ParseMeta(unhex(t, tc.wire)); err != nil || !equalMeta(got, tc.meta) {
			t.Errorf("%s: %+v, %v; want %+v", tc.wire, got, err, tc.meta)
		}
		if got, want := tc.meta.IsZero(), tc.wire == "90"; got != want {
			t.Errorf("%+v: IsZero %v", tc.meta, got)
		}
	}
	if got, err := ParseMeta(nil); err != nil || !got.IsZero() {
		t.Errorf("no metadata: %+v, %v", got, err)
	}
	if got := (&Meta{Deadline: -1, Window: -1}).Append(nil); !bytes.Equal(got, unhex(t, "96 c0 c0 c0 c0 c0 c0")) {
		t.Errorf("negative: %x", got)
	}
}

// equalMeta takes an empty list for none.
func equalMeta(a, b Meta) bool {
	for _, m := range []*Meta{&a, &b} {
		if len(m.Chain) == 0 {
			m.Chain = nil
		}
		if len(m.Segments) == 0 {
			m.Segments = nil
		}
		if len(m.Trace) == 0 {
			m.Trace = nil
		}
	}
	return reflect.DeepEqual(a, b)
}

func TestMetaOfOthers(t *testing.T) {
	for _, tc := range []struct {
		wire string
		want Meta
	}{
		{"98 01 c0 c0 c0 c2 02 93 01 02 03 81 a0 a0", Meta{Deadline: 1, Window: 2}}, // fields of a later version
		{"97 c0 c0 c0 c0 c0 c0 c0", Meta{}},
		{"dc 0002 d3 0000000000000005 dd 00000001 d0 07", Meta{Deadline: 5, Chain: []uint64{7}}},
		{"94 00 90 90 80", Meta{}},
		{"96 c0 c0 c0 c0 c0 cf 7fffffffffffffff", Meta{Window: maxWindow}},
	} {
		if got, err := ParseMeta(unhex(t, tc.wire)); err != nil || !equalMeta(got, tc.want) {
			t.Errorf("%s: %+v, %v; want %+v", tc.wire, got, err, tc.want)
		}
	}
}

func TestMetaRefuses(t *testing.T) {
	for _, wire := range []string{
		"80", "c0", "01", "91", "91 ff", "91 cf 8000000000000000", "91 a0", "92 c0 01", "92 c0 91", "92 c0 91 c0", "92 c0 dd ffffffff", "92 c0 dd ffffffff 01",
		"93 c0 c0 80", "94 c0 c0 c0 90", "94 c0 c0 c0 81 a0", "94 c0 c0 c0 81 01 a0", "94 c0 c0 c0 df ffffffff", "95 c0 c0 c0 c0 01", "96 c0 c0 c0 c0 c0 ff",
		"97 c0 c0 c0 c0 c0 c0", "97 c0 c0 c0 c0 c0 c0 c1", "90 00", "91 01 00",
	} {
		if m, err := ParseMeta(unhex(t, wire)); !errors.Is(err, ErrMalformed) || !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %+v, %v", wire, m, err)
		}
	}
}

func TestMetaRoundTrip(t *testing.T) {
	meta := rapid.Custom(func(t *rapid.T) Meta {
		return Meta{
			Deadline: rapid.Int64Min(0).Draw(t, "deadline"),
			Chain:    rapid.SliceOfN(rapid.Uint64(), 0, 40).Draw(t, "chain"),
			Segments: rapid.SliceOfN(rapid.Uint64(), 0, 40).Draw(t, "segments"),
			Trace:    rapid.MapOfN(rapid.String(), rapid.String(), 0, 20).Draw(t, "trace"),
			Stream:   rapid.Bool().Draw(t, "stream"),
			Window:   rapid.IntRange(0, maxWindow).Draw(t, "window"),
		}
	})
	var reused Meta
	rapid.Check(t, func(t *rapid.T) {
		m := meta.Draw(t, "meta")
		wire := m.Append(nil)
		if err := (Limits{}).Check(wire); err != nil {
			t.Fatal(err)
		}
		got, err := ParseMeta(wire)
		if err != nil || !equalMeta(got, m) {
			t.Fatalf("%+v, %v", got, err)
		}
		if err := reused.Parse(wire); err != nil || !equalMeta(reused, m) {
			t.Fatalf("into used memory: %+v, %v", reused, err)
		}
		clear(wire)
		if !equalMeta(got, m) {
			t.Fatalf("%+v changed with the message", got)
		}
	})
}

func FuzzMeta(f *testing.F) {
	for _, s := range []string{
		"90", "91 cc c8", "92 c0 92 01 cd 012c", "94 c0 c0 c0 81 a1 61 a1 62", "96 cf 7fffffffffffffff c0 c0 c0 c3 ce 7fffffff",
		"98 01 c0 c0 c0 c2 02 93 01 02 03 81 a0 a0", "92 c0 dd ffffffff 01", "94 c0 c0 c0 df ffffffff",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		var m Meta
		var err error
		if n := bytesAllocated(func() { m, err = ParseMeta(wire) }); n > 64<<10+100*uint64(len(wire)) {
			t.Fatalf("%x: %d bytes allocated", wire, n)
		}
		if err != nil {
			return
		}
		if got, err := ParseMeta(m.Append(nil)); err != nil || !equalMeta(got, m) {
			t.Fatalf("%+v became %+v, %v", m, got, err)
		}
	})
}

// bytesAllocated returns the bytes that f allocates.
func bytesAllocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
