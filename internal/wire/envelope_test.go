package wire

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestEnvelope(t *testing.T) {
	meta := unhex(t, "91 05")
	for _, tc := range []struct {
		name string
		got  []byte
		wire string
		want Envelope
	}{
		{"request", AppendRequest(nil, 1, "add", unhex(t, "92 01 02"), nil), "94 00 01 a3 616464 92 01 02",
			Envelope{Type: Request, ID: 1, Method: "add", Params: unhex(t, "92 01 02")}},
		{"request with metadata", AppendRequest(nil, 300, "", unhex(t, "91 91 c0"), meta), "95 00 cd 012c a0 91 91 c0 91 05",
			Envelope{Type: Request, ID: 300, Params: unhex(t, "91 91 c0"), Meta: meta}},
		{"request without parameters", AppendRequest(nil, math.MaxUint64, "f", nil, nil), "94 00 cf ffffffffffffffff a1 66 90",
			Envelope{Type: Request, ID: math.MaxUint64, Method: "f", Params: unhex(t, "90")}},
		{"notification", AppendNotify(nil, "$/stop", nil, nil), "93 02 a6 242f73746f70 90",
			Envelope{Type: Notify, Method: "$/stop", Params: unhex(t, "90")}},
		{"notification with metadata", AppendNotify(nil, "f", unhex(t, "dc 0001 00"), meta), "94 02 a1 66 dc 0001 00 91 05",
			Envelope{Type: Notify, Method: "f", Params: unhex(t, "dc 0001 00"), Meta: meta}},
		{"result", AppendResponse(nil, 70000, nil, unhex(t, "80"), nil), "94 01 ce 00011170 c0 80",
			Envelope{Type: Response, ID: 70000, Result: unhex(t, "80")}},
		{"nil for a result", AppendResponse(nil, 128, nil, nil, nil), "94 01 cc 80 c0 c0",
			Envelope{Type: Response, ID: 128, Result: unhex(t, "c0")}},
		{"error", AppendResponse(nil, 0, unhex(t, "a1 65"), nil, meta), "95 01 00 a1 65 c0 91 05",
			Envelope{Type: Response, Err: unhex(t, "a1 65"), Result: unhex(t, "c0"), Meta: meta}},
	} {
		if want := unhex(t, tc.wire); !bytes.Equal(tc.got, want) {
			t.Errorf("%s: %x, want %x", tc.name, tc.got, want)
		}
		if e, err := ParseEnvelope(tc.got); err != nil || !reflect.DeepEqual(e, tc.want) {
			t.Errorf("%s: %+v, %v; want %+v", tc.name, e, err, tc.want)
		}
	}
}

// What other encoders may write, and we do not.
func TestEnvelopeOfOthers(t *testing.T) {
	for _, tc := range []struct {
		wire string
		want Envelope
	}{
		{"dc 0004 cc00 d0 07 d9 01 66 dd 00000000", Envelope{Type: Request, ID: 7, Method: "f", Params: unhex(t, "dd 00000000")}},
		{"dd 00000003 cd0002 da 0001 66 90", Envelope{Type: Notify, Method: "f", Params: unhex(t, "90")}},
		{"94 01 d3 0000000000000009 c0 c0", Envelope{Type: Response, ID: 9, Result: unhex(t, "c0")}},
	} {
		if e, err := ParseEnvelope(unhex(t, tc.wire)); err != nil || !reflect.DeepEqual(e, tc.want) {
			t.Errorf("%s: %+v, %v; want %+v", tc.wire, e, err, tc.want)
		}
	}
}

func TestEnvelopeRefuses(t *testing.T) {
	for _, tc := range []struct{ name, message, detail string }{
		{"nothing", "", "a message is missing"},
		{"no array", "80", "a message begins with 0x80"},
		{"a number", "47", "a message begins with 0x47"},
		{"empty", "90", "the message type is missing"},
		{"another type", "94 03 01 a0 90", "message type 3"},
		{"a negative type", "94 ff 01 a0 90", "the message type begins with 0xff"},
		{"a string for a type", "94 a0 01 a0 90", "the message type begins"},
		{"a short request", "93 00 01 a0", "request of 3 elements"},
		{"a long request", "96 00 01 a0 90 90 90", "request of 6 elements"},
		{"a short response", "93 01 01 c0", "response of 3 elements"},
		{"a long notification", "95 02 a0 90 90 90", "notification of 5 elements"},
		{"a negative id", "94 00 e0 a0 90", "the request id begins with 0xe0"},
		{"a nil id", "94 01 c0 c0 c0", "the request id begins with 0xc0"},
		{"a number for a method", "94 00 01 05 90", "the method begins with 0x05"},
		{"a binary for a method", "94 00 01 c4 01 66 90", "the method begins with 0xc4"},
		{"a map of parameters", "94 00 01 a0 80", "the argument list begins with 0x80"},
		{"nil for parameters", "93 02 a0 c0", "the argument list begins with 0xc0"},
		{"bytes behind", "93 02 a0 90 00", "1 bytes too many"},
		{"cut in the parameters", "94 00 01 a0 92 01", "the argument list is missing at byte 6"},
		{"cut in the method", "94 00 01 a5 66", "the method begins with 0xa5"},
		{"cut at the parameters", "94 00 01 a2 6162", "the argument list is missing"},
		{"cut before the metadata", "94 02 a0 91 90", "the metadata is missing"},
	} {
		_, err := ParseEnvelope(unhex(t, tc.message))
		if !errors.Is(err, ErrMalformed) || !errors.Is(err, ErrProtocol) || !strings.Contains(err.Error(), tc.detail) {
			t.Errorf("%s: %v, want %q", tc.name, err, tc.detail)
		}
	}
}

// The head functions make the same message in one piece of memory.
func TestEnvelopeInPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Uint64().Draw(t, "id")
		method := rapid.StringN(0, 300, 1200).Draw(t, "method")
		meta := Meta{Deadline: rapid.Int64Min(1).Draw(t, "deadline")}
		before := rapid.SliceOfN(rapid.Byte(), 0, 10).Draw(t, "before")
		params := []byte{FixArray | 1, 7}
		for _, m := range []*Meta{nil, &meta} {
			var rawMeta []byte
			if m != nil {
				rawMeta = m.Append(nil)
			}
			for want, got := range map[string][]byte{
				string(AppendRequest(before, id, method, params, rawMeta)):   append(AppendRequestHead(bytes.Clone(before), id, method), params...),
				string(AppendNotify(before, method, params, rawMeta)):        append(AppendNotifyHead(bytes.Clone(before), method), params...),
				string(AppendResponse(before, id, nil, []byte{42}, rawMeta)): append(AppendResponseHead(bytes.Clone(before), id), CodeNil, 42),
			} {
				if m != nil {
					got = AppendMetaTo(got, len(before), m)
				}
				if string(got) != want {
					t.Fatalf("%x, want %x", got, want)
				}
				if e, err := ParseEnvelope(got[len(before):]); err != nil || e.Type != Response && e.Method != method || e.Type != Notify && e.ID != id || !bytes.Equal(e.Meta, rawMeta) {
					t.Fatalf("%+v, %v", e, err)
				}
			}
		}
	})
}

func TestEnvelopeDoesNotAllocate(t *testing.T) {
	Intern("envelope-test/add")
	params, meta := unhex(t, "92 01 02"), Meta{Deadline: 1 << 40, Chain: []uint64{1, 2, 3}}
	b := make([]byte, 0, 200)
	parsed := Meta{Chain: make([]uint64, 0, 8)}
	if n := testing.AllocsPerRun(100, func() {
		b = AppendRequestHead(b[:0], 1<<33, "envelope-test/add")
		b = append(b, params...)
		b = AppendMetaTo(b, 0, &meta)
		e, err := ParseEnvelope(b)
		if err != nil || e.Method != "envelope-test/add" {
			t.Fatal(e, err)
		}
		if err := parsed.Parse(e.Meta); err != nil || len(parsed.Chain) != 3 {
			t.Fatal(parsed, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

func TestInternKeepsWhatPeersSendOut(t *testing.T) {
	name := AppendNotify(nil, "envelope-test/never declared", nil, nil)
	before := len(*methods.Load())
	e, err := ParseEnvelope(name)
	if err != nil || len(*methods.Load()) != before {
		t.Errorf("%+v, %v, %d names, were %d", e, err, len(*methods.Load()), before)
	}
	clear(name)
	if e.Method != "envelope-test/never declared" {
		t.Error("the method lies in the message")
	}
}

func FuzzEnvelope(f *testing.F) {
	for _, s := range []string{
		"94 00 01 a3 616464 92 01 02", "95 00 cd 012c a0 91 91 c0 91 05", "93 02 a6 242f73746f70 90", "95 01 00 a1 65 c0 91 05",
		"dc 0004 cc00 d0 07 d9 01 66 dd 00000000", "94 00 01 db ffffffff", "94 01 01 dd ffffffff", "94 02 a0 90 df 80000001",
	} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		e, err := ParseEnvelope(body) // also what no scanner has seen must not hurt
		if err != nil {
			if !errors.Is(err, ErrProtocol) || !reflect.DeepEqual(e, Envelope{}) {
				t.Fatalf("%+v, %v", e, err)
			}
			return
		}
		var again []byte
		switch e.Type {
		case Request:
			again = AppendRequest(nil, e.ID, e.Method, e.Params, e.Meta)
		case Notify:
			again = AppendNotify(nil, e.Method, e.Params, e.Meta)
		case Response:
			again = AppendResponse(nil, e.ID, e.Err, e.Result, e.Meta)
		}
		if len(again) > len(body) {
			t.Fatalf("%x became longer: %x", body, again)
		}
		if e2, err := ParseEnvelope(again); err != nil || !reflect.DeepEqual(e2, e) {
			t.Fatalf("%+v became %+v, %v", e, e2, err)
		}
		limits := Limits{Bytes: len(body), Depth: len(body), Elements: len(body)}
		if scans, scansAgain := limits.Check(body) == nil, limits.Check(again) == nil; scans != scansAgain || !scans {
			t.Fatalf("%x passes the scanner: %v, %x: %v", body, scans, again, scansAgain)
		}
	})
}

func BenchmarkEnvelope(b *testing.B) {
	Intern("envelope-test/add")
	params, meta := unhex(b, "92 01 02"), Meta{Deadline: 1 << 40, Chain: []uint64{1 << 50}}
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		buf := make([]byte, 0, 200)
		for b.Loop() {
			buf = AppendRequestHead(buf[:0], 1<<33, "envelope-test/add")
			buf = append(buf, params...)
			buf = AppendMetaTo(buf, 0, &meta)
		}
	})
	b.Run("parse", func(b *testing.B) {
		b.ReportAllocs()
		body := AppendRequest(nil, 1<<33, "envelope-test/add", params, meta.Append(nil))
		for b.Loop() {
			if _, err := ParseEnvelope(body); err != nil {
				b.Fatal(err)
			}
		}
	})
}
