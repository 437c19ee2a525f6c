package codec

import (
	"bytes"
	"errors"
	"reflect"
	"runtime"
	"testing"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"
	"github.com/vmihailenco/msgpack/v5/msgpcode"

	"github.com/understudy-go/understudy/internal/wire"
)

// allocated is how many bytes f allocates, on the goroutine's own account if
// nothing else runs.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

type (
	big     struct{ Data [1024]byte }
	bigMap  map[string]big
	tree    map[string]tree
	list    []list
	chain   struct{ Next *chain }
	pointed struct{ P ***big }
)

// targets are types to decode into that the library treats in different ways.
func targets() []any {
	return []any{
		new(any), new([]any), new(map[string]any), new(map[string]string), new(map[any]any), new(map[int]big), new(bigMap), new(tree), new(list), new(chain),
		new(pointed), new([]big), new([]*big), new([]map[string]any), new([]string), new([][]byte), new([]byte), new(string), new([]int8), new([]struct{}),
		new(big), new(everything), new([]everything), new(msgpack.RawMessage), new([]msgpack.RawMessage), new([4]byte), new([3]any), new(int), new(float64), new(error),
		new(none), new(openArgs), new(tuple), new([]inner), new(struct {
			S string `msgpack:",intern"`
			A any    `msgpack:",intern"`
			M map[string]map[string]any
			L []string
		}),
	}
}

// largestPart is the size of the largest type inside t.
func largestPart(t reflect.Type) uint64 {
	largest := uint64(unsafe.Sizeof(""))
	for part := range partsOf(t) {
		largest = max(largest, uint64(part.Size()))
	}
	return largest
}

// bound is what package documentation promises for a message of n bytes that
// has so many elements, and as many levels of our own decoding.
func bound(t reflect.Type, n, elements int) uint64 {
	const perElement = 100 // a value in an interface, or an entry of a map
	errorsAndStacks := uint64(64 << 10)
	return errorsAndStacks + 16*uint64(n) + uint64(elements+1)*(perElement+3*largestPart(t))
}

// countElements counts what Limits.Elements bounds.
func countElements(message []byte) int {
	dec := msgpack.NewDecoder(bytes.NewReader(message))
	elements := 0
	for pending := 1; pending > 0; pending-- {
		code, err := dec.PeekCode()
		n := 0
		switch {
		case err != nil:
			return elements
		case msgpcode.IsFixedArray(code) || code == msgpcode.Array16 || code == msgpcode.Array32:
			n, err = dec.DecodeArrayLen()
		case msgpcode.IsFixedMap(code) || code == msgpcode.Map16 || code == msgpcode.Map32:
			n, err = dec.DecodeMapLen()
			n *= 2
		default:
			err = dec.Skip()
		}
		if err != nil {
			return elements
		}
		pending, elements = pending+n, elements+n
	}
	return elements
}

func checkBound(t *testing.T, message []byte, into any) {
	t.Helper()
	typ := reflect.TypeOf(into).Elem()
	_ = planOf(typ) // and what else is made once for each type
	_ = Decode(&Source{B: []byte{wire.CodeNil}, Context: ""}, reflect.New(typ).Interface())
	limit := bound(typ, len(message), countElements(message))
	v := reflect.New(typ).Interface()
	src := &Source{B: message, Context: ""}
	var err error
	if n := allocated(func() { err = Decode(src, v) }); n > limit {
		t.Errorf("%v: %d bytes allocated for a message of %d bytes and %d elements, bound %d (%v): % x...",
			typ, n, len(message), countElements(message), limit, err, message[:min(len(message), 40)])
	}
}

// hostile messages pass a generous scanner, or none would reach a decoder.
func hostile() map[string][]byte {
	many := 1 << 12
	repeat := func(head string, unit string, n int) []byte {
		return append(rawBytes(head), bytes.Repeat(rawBytes(unit), n)...)
	}
	return map[string][]byte{
		"empty maps":                 repeat("dd 00001000", "80", many),
		"empty arrays":               repeat("dd 00001000", "90", many),
		"nils":                       repeat("dd 00001000", "c0", many),
		"zeros":                      repeat("dd 00001000", "00", many),
		"empty strings":              repeat("dd 00001000", "a0", many),
		"one key again and again":    repeat("df 00000800", "a0 80", many/2),
		"numbers for keys":           repeat("df 00000800", "00 80", many/2),
		"deep arrays":                append(repeat("", "91", 60), 0xc0),
		"deep maps":                  append(repeat("", "81 a0", 60), 0x80),
		"deep chain":                 append(repeat("", "81 a4 4e657874", 60), 0xc0),
		"maps of maps":               repeat("de 0400", "a1 61 81 a0 80", 1024),
		"a map in an extension":      rawBytes("c7 05 01 df ffffffff"),
		"a map in the time":          rawBytes("d6 ff df ffffff"),
		"a map in the nanoseconds":   rawBytes("d7 ff dfffffff 00000000"),
		"a map behind an extension":  rawBytes("92 d6 ff dfffffff ff"),
		"an array in an extension":   rawBytes("c7 05 01 dd ffffffff"),
		"a map in an ext16":          rawBytes("c8 0005 01 df ffffffff"),
		"a map in an ext32":          rawBytes("c9 00000005 01 df ffffffff"),
		"a map begins in fixext1":    rawBytes("92 d4 01 df ce ffffffff"),
		"a map from interned string": rawBytes("82 a1 53 a0 a1 4d d4 80 df"),
		"interned, then a number":    rawBytes("82 a1 4d d4 80 df a1 53 ce ffffffff"),
		"deep in an extension":       append(rawBytes("c8 8000 01"), bytes.Repeat([]byte{0x81}, 1<<15)...),
		"siblings as children":       repeat("dd 00001000", "d4 80 81", many),
		"a long string":              append(rawBytes("db 00020000"), make([]byte, 1<<17)...),
		"a long binary":              append(rawBytes("c6 00020000"), make([]byte, 1<<17)...),
		"a long extension":           append(rawBytes("c9 00020000 05"), make([]byte, 1<<17)...),
		"a long time":                append(rawBytes("c9 00020000 ff"), make([]byte, 1<<17)...),
	}
}

// Whatever has passed the scanner costs no more than the documentation of the
// package says, in every kind of type.
func TestDecodeIsBounded(t *testing.T) {
	for name, message := range hostile() {
		if err := (wire.Limits{}).Check(message); err != nil {
			t.Fatalf("%s does not pass the scanner: %v", name, err)
		}
		for _, into := range targets() {
			checkBound(t, message, into)
			if t.Failed() {
				t.Fatalf("with %s", name)
			}
		}
	}
}

// The library alone would allocate 4 Gi elements for these; they must not pass.
func TestHeaderBombs(t *testing.T) {
	for _, message := range []string{
		"dd ffffffff", "df ffffffff", "dd 7fffffff", "df 80000000", "c6 ffffffff", "db ffffffff", "c9 ffffffff 01",
		"94 00 01 a1 66 91 dd ffffffff", "94 00 01 a1 66 91 81 a1 41 df ffffffff", "93 02 db ffffffff",
	} {
		var s wire.Scanner
		b := rawBytes(message)
		var err error
		if n := allocated(func() { _, err = s.Frame(b) }); n > 64<<10 {
			t.Errorf("%s: %d bytes allocated", message, n)
		}
		if !errors.Is(err, wire.ErrTooLarge) && !errors.Is(err, wire.ErrTooManyElements) {
			t.Errorf("%s: %v", message, err)
		}
	}
}

// A decoder that is given what no scanner has seen still allocates nothing that
// only a header claims. (It may recurse too deep: the scan is not optional.)
func TestUnscannedHeaderBombs(t *testing.T) {
	for _, message := range []string{
		"dd ffffffff", "df ffffffff", "c6 ffffffff", "db ffffffff", "c9 ffffffff 01", "91 dd ffffffff", "81 a1 41 df ffffffff", "92 df 80000001 c0", "dc ffff 00", "9f 00", "8f 00",
	} {
		for _, into := range targets() {
			err := errors.New("not run")
			if n := allocated(func() { err = Decode(&Source{B: rawBytes(message), Context: ""}, into) }); n > 64<<10 || err == nil {
				t.Errorf("%s into %T: %d bytes allocated, %v", message, into, n, err)
			}
		}
	}
}

// A legal array of empty maps fills a slice of large structs: what bounds it
// is Limits.Elements.
func TestElementsBoundLargeTypes(t *testing.T) {
	message := append(rawBytes("dd 00004000"), bytes.Repeat([]byte{0x80}, 1<<14)...)
	if err := (wire.Limits{Elements: 1 << 13}).Check(message); !errors.Is(err, wire.ErrTooManyElements) {
		t.Errorf("half the elements allowed: %v", err)
	}
	if err := (wire.Limits{Elements: 1 << 14}).Check(message); err != nil {
		t.Error(err)
	}
	var got []big
	n := allocated(func() {
		if err := Decode(&Source{B: message}, &got); err != nil {
			t.Error(err)
		}
	})
	if size := uint64(unsafe.Sizeof(big{})) << 14; n < size || n > 3*size {
		t.Errorf("%d bytes allocated for %d bytes of slice", n, size)
	}
}

func TestSourceKeepsItsPlace(t *testing.T) {
	for _, tc := range []struct {
		name, message string
		read          func(d *msgpack.Decoder) error
		lost          bool
	}{
		{"a map in ext8", "c7 01 05 80", func(d *msgpack.Decoder) error { _, err := d.DecodeMapLen(); return err }, true},
		{"a map in fixext4", "d6 05 80 80 80 80", func(d *msgpack.Decoder) error { _, err := d.DecodeMapLen(); return err }, true},
		{"a map in ext16", "c8 0001 05 80", func(d *msgpack.Decoder) error { _, err := d.DecodeMapLen(); return err }, true},
		{"a value in a string", "a2 01 02", func(d *msgpack.Decoder) error {
			_, err := d.DecodeBytesLen()
			return errors.Join(err, d.Skip())
		}, true},
		{"the string itself", "a2 01 02", func(d *msgpack.Decoder) error {
			_, err := d.DecodeBytesLen()
			return errors.Join(err, d.ReadFull(make([]byte, 2)))
		}, false},
		{"a value in a number", "cf 0000000000000000", func(d *msgpack.Decoder) error {
			_, err := d.Buffered().(*Source).ReadByte()
			return errors.Join(err, d.Skip())
		}, true},
		{"an extension", "c8 0003 05 010203", func(d *msgpack.Decoder) error {
			_, n, err := d.DecodeExtHeader()
			return errors.Join(err, d.ReadFull(make([]byte, n)))
		}, false},
		{"a value after reading two at once", "93 a2 01 02 cd 0304 05", func(d *msgpack.Decoder) error {
			n, err := d.DecodeArrayLen()
			if n != 3 {
				t.Errorf("%d elements", n)
			}
			return errors.Join(err, d.ReadFull(make([]byte, 6)), d.Skip())
		}, false},
		{"a value after reading too much", "93 a2 01 02 cd 0304 05", func(d *msgpack.Decoder) error {
			_, err := d.DecodeArrayLen()
			return errors.Join(err, d.ReadFull(make([]byte, 5)), d.Skip())
		}, true},
		{"a code looked at twice", "92 cc ff 05", func(d *msgpack.Decoder) error {
			_, err := d.DecodeArrayLen()
			_, err2 := d.PeekCode()
			_, err3 := d.DecodeUint8()
			_, err4 := d.PeekCode()
			return errors.Join(err, err2, err3, err4, d.Skip())
		}, false},
	} {
		src := &Source{B: rawBytes(tc.message)}
		err := tc.read(msgpack.NewDecoder(src))
		if errors.Is(err, ErrLostPlace) != tc.lost || !tc.lost && (err != nil || src.Len() != 0) {
			t.Errorf("%s: %v, %d bytes left", tc.name, err, src.Len())
		}
	}
	src := &Source{B: rawBytes("92 01 02")}
	_, _ = src.ReadByte()
	_, _ = src.ReadByte()
	if err := errors.Join(src.UnreadByte(), src.UnreadByte()); err == nil {
		t.Error("went back behind a value")
	}
	// Each value is taken for a map, which the next pair belongs to: no scan
	// bounds how deep that goes.
	message := append(rawBytes("de 1000"), bytes.Repeat(rawBytes("a0 d4 80 81"), 1<<12)...)
	if err := Decode(&Source{B: message}, new(tree)); !errors.Is(err, ErrLostPlace) {
		t.Errorf("siblings as children: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	kinds := len(targets())
	for name, message := range hostile() {
		if len(message) < 1<<12 {
			for i := range kinds {
				if (i+len(name))%8 == 0 {
					f.Add(message, uint8(i), false)
				}
			}
		}
	}
	for i, v := range []any{everything{Any: []any{1, "x"}}, []inner{{Name: "n"}}, map[string]any{"k": map[int]int{1: 2}}} {
		f.Add(encoded(f, v), uint8(i), false)
		f.Add(append([]byte{0x91}, encoded(f, v)...), uint8(i), true)
	}
	for _, into := range targets() { // what is made once for each type
		_ = Decode(&Source{B: []byte{wire.CodeNil}, Context: ""}, into)
	}
	limits := wire.Limits{Bytes: 1 << 16}
	f.Fuzz(func(t *testing.T, message []byte, kind uint8, args bool) {
		if limits.Check(message) != nil {
			return
		}
		into := targets()[int(kind)%kinds]
		typ := reflect.TypeOf(into).Elem()
		limit := bound(typ, len(message), countElements(message))
		var err error
		n := allocated(func() { err = decode(&Source{B: message, Context: ""}, into, args) })
		if n > limit {
			t.Fatalf("%x into %v: %d bytes allocated, bound %d (%v)", message, typ, n, limit, err)
		}
		if err != nil {
			return
		}
		buf := Buffer{Context: "", Limits: wire.Limits{Depth: 100}}
		if err := encode(&buf, into, false, args); err != nil && !errors.Is(err, wire.ErrMalformed) {
			t.Fatalf("%x into %v: %+v cannot be encoded: %v", message, typ, into, err)
		}
	})
}
