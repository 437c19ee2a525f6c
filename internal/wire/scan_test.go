package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
)

// unhex is a message in hexadecimal; blanks are for the reader.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestScannerFindsTheEnd(t *testing.T) {
	bin := strings.Repeat("00", 300)
	for _, tc := range []struct{ name, message string }{
		{"positive fixint", "00"}, {"positive fixint", "7f"}, {"negative fixint", "e0"}, {"negative fixint", "ff"},
		{"nil", "c0"}, {"false", "c2"}, {"true", "c3"},
		{"uint8", "cc ff"}, {"uint16", "cd ffff"}, {"uint32", "ce ffffffff"}, {"uint64", "cf ffffffffffffffff"},
		{"int8", "d0 80"}, {"int16", "d1 8000"}, {"int32", "d2 80000000"}, {"int64", "d3 8000000000000000"},
		{"float32", "ca 00000000"}, {"float64", "cb 0000000000000000"},
		{"empty fixstr", "a0"}, {"fixstr", "a3 616263"}, {"longest fixstr", "bf" + strings.Repeat("61", 31)},
		{"str8", "d9 02 6162"}, {"str16", "da 0002 6162"}, {"str32", "db 00000002 6162"}, {"empty str32", "db 00000000"},
		{"bin8", "c4 02 0102"}, {"bin16", "c5 012c" + bin}, {"bin32", "c6 0000012c" + bin}, {"empty bin8", "c4 00"},
		{"fixext1", "d4 01 00"}, {"fixext2", "d5 01 0000"}, {"fixext4", "d6 ff 00000000"}, {"fixext8", "d7 ff 0000000000000000"},
		{"fixext16", "d8 01 00000000000000000000000000000000"},
		{"ext8", "c7 03 01 010203"}, {"ext16", "c8 0003 01 010203"}, {"ext32", "c9 00000003 01 010203"}, {"empty ext8", "c7 00 05"},
		{"empty fixarray", "90"}, {"fixarray", "92 01 02"}, {"array16", "dc 0002 01 02"}, {"array32", "dd 00000002 01 02"}, {"empty array32", "dd 00000000"},
		{"empty fixmap", "80"}, {"fixmap", "81 a1 61 01"}, {"map16", "de 0001 a1 61 01"}, {"map32", "df 00000001 a1 61 01"},
		{"arrays within arrays", "92 91 90 92 90 91 c0"},
		{"a map within a map, and behind it", "82 a1 61 81 a1 62 90 a1 63 c0"},
		{"request", "94 00 01 a1 66 90"},
	} {
		message := unhex(t, tc.message)
		for _, behind := range []string{"", "c1c1c1", "9490"} { // not looked at
			var s Scanner
			stream := append(bytes.Clone(message), unhex(t, behind)...)
			if n, err := s.Frame(stream); n != len(message) || err != nil {
				t.Errorf("%s %q followed by %q: %d, %v; want %d", tc.name, tc.message, behind, n, err, len(message))
			}
		}
		var s Scanner
		for cut := range message {
			if n, err := s.Frame(message[:cut]); n != 0 || err != nil {
				t.Errorf("%s %q cut after %d bytes: %d, %v", tc.name, tc.message, cut, n, err)
			}
		}
		if n, err := s.Frame(message); n != len(message) || err != nil {
			t.Errorf("%s %q byte by byte: %d, %v", tc.name, tc.message, n, err)
		}
	}
}

func TestScannerRefuses(t *testing.T) {
	small := Limits{Bytes: 100, Depth: 3, Elements: 10}
	for _, tc := range []struct {
		name, message string
		limits        Limits
		want          error
		offset        int
	}{
		{"a byte that begins no value", "c1", Limits{}, ErrMalformed, 0},
		{"the same, inside", "92 00 c1", Limits{}, ErrMalformed, 2},
		{"4 Gi elements", "dd ffffffff", Limits{}, ErrTooManyElements, 0},
		{"4 Gi pairs", "df ffffffff", Limits{}, ErrTooManyElements, 0},
		{"4 GiB of string", "db ffffffff", Limits{}, ErrTooLarge, 0},
		{"4 GiB of binary", "c6 ffffffff", Limits{}, ErrTooLarge, 0},
		{"4 GiB of extension", "c9 ffffffff", Limits{}, ErrTooLarge, 0},
		{"a string in an envelope", "94 00 01 db 00400000", Limits{}, ErrTooLarge, 3},
		{"bytes", "c4 63", small, ErrTooLarge, 0},
		{"bytes of two", "92 c4 32 " + strings.Repeat("00", 50) + "c4 30", small, ErrTooLarge, 53},
		{"elements that leave no room for themselves", "94 c4 5f" + strings.Repeat("00", 95), small, ErrTooLarge, 1},
		{"a number that does not fit, cut", "93 cb", Limits{Bytes: 9}, ErrTooLarge, 1},
		{"elements of one array", "9b", small, ErrTooManyElements, 0},
		{"elements of two", "95 96", small, ErrTooManyElements, 1},
		{"keys count", "86", small, ErrTooManyElements, 0},
		{"levels", "91 91 91 91", small, ErrTooDeep, 3},
		{"an empty level is one", "91 91 91 90", small, ErrTooDeep, 3},
		{"levels of maps", "81 00 81 00 81 00 81", small, ErrTooDeep, 6},
		{"default levels", strings.Repeat("91", 65), Limits{}, ErrTooDeep, 64},
	} {
		message := unhex(t, tc.message)
		check := func(how string, s *Scanner, n int, err error) {
			t.Helper()
			var fault *ProtocolError
			if n != 0 || !errors.Is(err, tc.want) || !errors.Is(err, ErrProtocol) || !errors.As(err, &fault) || fault.Offset != tc.offset {
				t.Errorf("%s, %s: %d, %v; want %v at %d", tc.name, how, n, err, tc.want, tc.offset)
			}
			if _, again := s.Frame(unhex(t, "c0")); again != err {
				t.Errorf("%s, %s: then %v, want the same", tc.name, how, again)
			}
			s.Reset()
			if n, err := s.Frame(unhex(t, "c0")); n != 1 || err != nil {
				t.Errorf("%s, %s: after Reset %d, %v", tc.name, how, n, err)
			}
		}
		s := Scanner{Limits: tc.limits}
		n, err := s.Frame(message)
		check("at once", &s, n, err)
		for i := 1; i <= len(message); i++ {
			if n, err = s.Frame(message[:i]); err != nil {
				break
			}
		}
		check("byte by byte", &s, n, err)
	}
}

func TestScannerAcceptsTheLimitItself(t *testing.T) {
	l := Limits{Bytes: 100, Depth: 3, Elements: 10}
	for _, message := range []string{
		"c4 62" + strings.Repeat("00", 98),
		"92 c4 32 " + strings.Repeat("00", 50) + "c4 2d" + strings.Repeat("00", 45),
		"9a 00010203040506070809",
		"95 95 00010203 04 05 06 07 08",
		"91 91 90",
		"91 91 91 00",
	} {
		if err := l.Check(unhex(t, message)); err != nil {
			t.Errorf("%q: %v", message, err)
		}
	}
	if err := (Limits{}).Check(unhex(t, strings.Repeat("91", 63)+"90")); err != nil {
		t.Errorf("64 levels: %v", err)
	}
	largest := append(unhex(t, "c6 003ffffb"), make([]byte, 4<<20-5)...)
	if err := (Limits{}).Check(largest); err != nil {
		t.Errorf("4 MiB: %v", err)
	}
	if err := (Limits{}).Check(append(unhex(t, "dd 00100000"), make([]byte, 1<<20)...)); err != nil {
		t.Errorf("1 Mi elements: %v", err)
	}
}

func TestCheckWantsOneValue(t *testing.T) {
	for _, message := range []string{"", "92 00", "a3 61", "00 00", "90 c1"} {
		if err := (Limits{}).Check(unhex(t, message)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %v, want ErrMalformed", message, err)
		}
	}
}

// The scanner must not look at a byte again that it has passed, or a message
// that comes byte by byte costs the square of its length. A byte that was
// passed may be overwritten unnoticed; a header that is cut may not.
func TestScannerIsLinear(t *testing.T) {
	message := append(unhex(t, "dc 03e8"), bytes.Repeat(unhex(t, "93 01 a1 61 c0"), 1000)...)
	var s Scanner
	for i := 1; i < len(message); i++ {
		if n, err := s.Frame(message[:i]); n != 0 || err != nil {
			t.Fatalf("after %d bytes: %d, %v", i, n, err)
		}
		if i > 5 {
			message[i-5] = 0xc1 // no header here is longer
		}
	}
	if n, err := s.Frame(message); n != len(message) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

func TestScannerDoesNotAllocate(t *testing.T) {
	message, err := msgpack.Marshal(map[string]any{"a": []any{1, "two", 3.0, map[string]any{"deep": []any{nil}}}})
	if err != nil {
		t.Fatal(err)
	}
	var s Scanner
	if n := testing.AllocsPerRun(100, func() {
		if n, err := s.Frame(message); n != len(message) || err != nil {
			t.Fatal(n, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations a message", n)
	}
}

// reference is a scanner that is simple: recursive, and always from the start.
type reference struct {
	data              []byte
	limits            Limits
	pos               int
	pending, elements uint64
}

var errMore = errors.New("more")

func (r *reference) message() (int, error) {
	r.pending = 1
	if err := r.value(1); err != nil {
		return 0, err
	}
	if r.pos > len(r.data) {
		return 0, errMore
	}
	return r.pos, nil
}

func (r *reference) bytes(n int) (v uint64, err error) {
	for range n {
		if r.pos >= len(r.data) {
			return 0, errMore
		}
		v = v<<8 | uint64(r.data[r.pos])
		r.pos++
	}
	return v, nil
}

func (r *reference) value(level int) error {
	c, err := r.bytes(1)
	if err != nil {
		return err
	}
	r.pending--
	fixed := func(n uint64) error { return r.payload(n) }
	declared := func(size int, extra uint64) error {
		n, err := r.bytes(size)
		if err != nil {
			return err
		}
		return r.payload(n + extra)
	}
	children := func(size int, times uint64) error {
		n, err := r.bytes(size)
		if err != nil {
			return err
		}
		return r.children(level, n*times)
	}
	switch {
	case c <= 0x7f, c >= 0xe0, c == 0xc0, c == 0xc2, c == 0xc3:
		return fixed(0)
	case c <= 0x8f:
		return r.children(level, (c-0x80)*2)
	case c <= 0x9f:
		return r.children(level, c-0x90)
	case c <= 0xbf:
		return fixed(c - 0xa0)
	}
	switch c {
	case 0xc4, 0xd9:
		return declared(1, 0)
	case 0xc5, 0xda:
		return declared(2, 0)
	case 0xc6, 0xdb:
		return declared(4, 0)
	case 0xc7:
		return declared(1, 1)
	case 0xc8:
		return declared(2, 1)
	case 0xc9:
		return declared(4, 1)
	case 0xcc, 0xd0:
		return fixed(1)
	case 0xcd, 0xd1, 0xd4:
		if c == 0xd4 {
			return fixed(2)
		}
		return fixed(2)
	case 0xca, 0xce, 0xd2:
		return fixed(4)
	case 0xcb, 0xcf, 0xd3:
		return fixed(8)
	case 0xd5:
		return fixed(3)
	case 0xd6:
		return fixed(5)
	case 0xd7:
		return fixed(9)
	case 0xd8:
		return fixed(17)
	case 0xdc:
		return children(2, 1)
	case 0xdd:
		return children(4, 1)
	case 0xde:
		return children(2, 2)
	case 0xdf:
		return children(4, 2)
	}
	return ErrMalformed
}

func (r *reference) payload(n uint64) error {
	if uint64(r.pos)+n+r.pending > uint64(r.limits.Bytes) {
		return ErrTooLarge
	}
	r.pos += int(n)
	return nil
}

func (r *reference) children(level int, n uint64) error {
	r.elements += n
	r.pending += n
	switch {
	case level > r.limits.Depth:
		return ErrTooDeep
	case r.elements > uint64(r.limits.Elements):
		return ErrTooManyElements
	case uint64(r.pos)+r.pending > uint64(r.limits.Bytes):
		return ErrTooLarge
	}
	for range n {
		if err := r.value(level + 1); err != nil {
			return err
		}
	}
	return nil
}

func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		"c0", "94 00 01 a1 66 90", "dd ffffffff", "df ffffffff", "db ffffffff", "c9 ffffffff 01", "c1", "9191919191919191",
		"82 a1 61 81 a1 62 90 a1 63 c0", "cb 00", "d8 01 00", "de 0001 a1 61 01", "92 c4 32 00", "93 d4 80 8f d6 ff df ffffff ff",
	} {
		for _, step := range []uint8{0, 1, 3} {
			f.Add(unhex(f, s), step, uint16(0), uint8(0), uint16(0))
			f.Add(unhex(f, s), step, uint16(50), uint8(5), uint16(9))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8, size uint16, depth uint8, elements uint16) {
		limits := Limits{Bytes: int(size), Depth: int(depth), Elements: int(elements)}
		s := Scanner{Limits: limits}
		var n int
		var err error
		seen := len(data)
		if step > 0 {
			for seen = 0; seen < len(data) && n == 0 && err == nil; {
				seen = min(len(data), seen+int(step))
				n, err = s.Frame(bytes.Clone(data[:seen]))
			}
		} else {
			n, err = s.Frame(data)
		}
		ref := reference{data: data[:seen], limits: limits.OrDefault()}
		wantN, want := ref.message()
		if want == errMore {
			wantN, want = 0, nil
		}
		if n != wantN || !errors.Is(err, want) {
			t.Fatalf("%x in steps of %d, %+v: %d, %v; want %d, %v", data, step, limits, n, err, wantN, want)
		}
		if n == 0 {
			return
		}
		// The library must agree where the value ends.
		src := bytes.NewReader(data)
		if err := msgpack.NewDecoder(src).Skip(); err != nil || len(data)-src.Len() != n {
			t.Fatalf("%x: the library ends at %d (%v), the scanner at %d", data, len(data)-src.Len(), err, n)
		}
		r := Reader{Raw: data[:n]}
		if got := r.Skip("a value"); r.Err != nil || len(got) != n {
			t.Fatalf("%x: skip ends at %d (%v), the scanner at %d", data, r.Pos, r.Err, n)
		}
	})
}
