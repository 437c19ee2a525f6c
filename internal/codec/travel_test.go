package codec

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	bignum "math/big"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/wire"
)

// arrives is what becomes of v, which must not depend on the form that structs
// have on the way, on whether it is an argument, a result or an item, or on
// which way it is encoded.
func arrives[T any](t *testing.T, v T) T {
	t.Helper()
	var first T
	var c Codec[T]
	for i, arrays := range []bool{false, true} {
		for _, args := range []bool{false, true} {
			buf := Buffer{Context: ""}
			if err := c.encode(&buf, &v, arrays, args); err != nil {
				t.Fatalf("%T: %v", v, err)
			}
			if err := (wire.Limits{}).Message().Check(buf.B); err != nil {
				t.Fatal(err)
			}
			var got T
			if err := c.decode(&Source{B: buf.B, Context: ""}, &got, args); err != nil {
				t.Fatalf("%T: %v", v, err)
			}
			if i == 0 && !args {
				first = got
			} else if !reflect.DeepEqual(got, first) && fmt.Sprintf("%#v", got) != fmt.Sprintf("%#v", first) {
				t.Errorf("%#v arrives as %#v and, with lists %v, args %v, as %#v", v, first, arrays, args, got)
			}
		}
	}
	return first
}

func arrivesAs[T any](t *testing.T, v, want T) {
	t.Helper()
	if got := arrives(t, v); !reflect.DeepEqual(got, want) {
		t.Errorf("%#v arrives as %#v, want %#v", v, got, want)
	}
}

type (
	spot  struct{ X, Y int }
	boxed struct{ P any }
	lid   struct{ Color string }
	// Lid is embedded by pointer.
	Lid  struct{ Color string }
	cup  struct{ lid }
	can  struct{ *Lid }
	pins struct {
		Left  []int          `msgpack:"left,omitempty"`
		Right map[string]int `msgpack:",omitempty"`
		At    spot
	}
	mixed struct {
		Shown  int
		hidden int
	}
	nothing struct{}
	color   string
	// stamped has a time in it, in every kind of place.
	stamped struct {
		At   time.Time
		Ptr  *time.Time
		List []time.Time
		Keys map[time.Time]time.Time
		Any  any
		In   map[string]any
	}
)

func (c color) MarshalText() ([]byte, error) { return []byte("color " + string(c)), nil }

// travelRows are the rows of WHAT-TRAVELS.md, each with its test.
var travelRows = map[string]func(t *testing.T){
	"number of the same type": func(t *testing.T) {
		arrivesAs(t, int64(math.MinInt64), math.MinInt64)
		arrivesAs(t, uint64(math.MaxUint64), math.MaxUint64)
		arrivesAs(t, struct{ N uint64 }{1 << 63}, struct{ N uint64 }{1 << 63})
		arrivesAs(t, 90*time.Second, 90*time.Second)
	},
	"integer in an interface": func(t *testing.T) {
		for v, want := range map[any]any{int8(5): int64(5), 127: int64(127), 128: uint64(128), -1: int64(-1), -200: int64(-200),
			uint64(math.MaxUint64): uint64(math.MaxUint64), int64(math.MaxInt64): uint64(math.MaxInt64), uint8(3): int64(3), time.Second: uint64(time.Second)} {
			arrivesAs[any](t, v, want)
			arrivesAs(t, boxed{v}, boxed{want})
			arrivesAs(t, []any{v}, []any{want})
		}
	},
	"integer that does not fit": func(t *testing.T) {
		var small int8
		var signed struct{ N int64 }
		if err := errors.Join(Decode(&Source{B: encoded(t, 300)}, &small), Decode(&Source{B: encoded(t, map[string]uint64{"N": 1<<63 + 1})}, &signed)); err != nil {
			t.Fatal(err)
		}
		if n := 300; small != int8(n) || signed.N != math.MinInt64+1 {
			t.Errorf("%d, %d", small, signed.N)
		}
	},
	"float": func(t *testing.T) {
		for _, v := range []float64{0, math.Copysign(0, -1), math.Inf(-1), math.SmallestNonzeroFloat64, math.Float64frombits(0x7ff8000000000123)} {
			if got := arrives(t, v); math.Float64bits(got) != math.Float64bits(v) {
				t.Errorf("%x arrives as %x", math.Float64bits(v), math.Float64bits(got))
			}
			if got := arrives(t, struct{ F []float64 }{[]float64{v}}); math.Float64bits(got.F[0]) != math.Float64bits(v) {
				t.Errorf("%x arrives as %x", math.Float64bits(v), math.Float64bits(got.F[0]))
			}
		}
		if got := arrives(t, float32(math.NaN())); got == got {
			t.Errorf("NaN arrives as %v", got)
		}
		arrivesAs[any](t, float32(1.5), 1.5)
	},
	"string": func(t *testing.T) {
		arrivesAs(t, "\xff\x00 is not UTF-8", "\xff\x00 is not UTF-8")
	},
	"nil and empty": func(t *testing.T) {
		type all struct {
			B []byte
			S []string
			I []int
			M map[string]int
			A map[string]any
			P *int
			E error
			X any
		}
		arrivesAs(t, all{}, all{})
		full := all{B: []byte{}, S: []string{}, I: []int{}, M: map[string]int{}, A: map[string]any{}, P: new(int), X: []any{}}
		arrivesAs(t, full, full)
		arrivesAs(t, [][]int{nil, {}}, [][]int{nil, {}})
	},
	"omitempty": func(t *testing.T) {
		arrivesAs(t, pins{Left: []int{}, Right: map[string]int{}, At: spot{1, 2}}, pins{At: spot{1, 2}})
		arrivesAs(t, []pins{{Left: []int{}}, {Left: []int{1}}}, []pins{{}, {Left: []int{1}}})
	},
	"pointer": func(t *testing.T) {
		n := 7
		p := &n
		got := arrives(t, struct {
			A, B *int
			C, D **int
		}{p, p, &p, new(*int)})
		if *got.A != 7 || *got.B != 7 || got.A == got.B || **got.C != 7 || got.D != nil {
			t.Errorf("%+v", got)
		}
		arrivesAs(t, (*spot)(nil), nil)
		arrivesAs(t, &spot{1, 2}, &spot{1, 2})
	},
	"value that contains itself": func(t *testing.T) {
		type ring struct{ Next *ring }
		r := &ring{}
		r.Next = r
		var x any
		x = &x
		m := map[string]any{}
		m["m"] = m
		for _, v := range []any{r, x, m, boxed{x}} {
			if err := Encode(new(Buffer), v, true); !errors.Is(err, wire.ErrTooDeep) {
				t.Errorf("%T: %v", v, err)
			}
		}
	},
	"struct": func(t *testing.T) {
		arrivesAs(t, mixed{Shown: 1, hidden: 2}, mixed{Shown: 1})
		arrivesAs(t, []spot{{1, 2}}, []spot{{1, 2}})
	},
	"struct in an interface": func(t *testing.T) {
		want := map[string]any{"X": int64(1), "Y": int64(2)}
		arrivesAs[any](t, spot{1, 2}, want)
		arrivesAs[any](t, &spot{1, 2}, want)
		arrivesAs(t, boxed{spot{1, 2}}, boxed{want})
		arrivesAs(t, &boxed{&spot{1, 2}}, &boxed{want})
		arrivesAs(t, []any{spot{1, 2}}, []any{want})
		arrivesAs(t, map[string]any{"p": []spot{{1, 2}}}, map[string]any{"p": []any{want}})
		arrivesAs(t, struct{ S []map[int]boxed }{[]map[int]boxed{{1: {spot{1, 2}}}}}, struct{ S []map[int]boxed }{[]map[int]boxed{{1: {want}}}})
		arrivesAs(t, carton{spot{1, 2}}, carton{want})
		arrivesAs(t, []*carton{{spot{1, 2}}}, []*carton{{want}})
		arrivesAs[any](t, struct{}{}, map[string]any{})
	},
	"embedded struct": func(t *testing.T) {
		arrivesAs(t, cup{lid{"red"}}, cup{lid{"red"}})
		arrivesAs(t, can{&Lid{"red"}}, can{&Lid{"red"}})
		arrivesAs(t, can{}, can{&Lid{}}) // its fields arrive as nils
		arrivesAs(t, boxed{cup{lid{"red"}}}, boxed{map[string]any{"Color": "red"}})
	},
	"struct without fields": func(t *testing.T) {
		arrivesAs(t, nothing{}, nothing{})
		if got := roundTrip(t, &nothing{}, true); got != nil {
			t.Error(got)
		}
		arrivesAs(t, []nothing{{}, {}}, []nothing{{}, {}})
		for _, arrays := range []bool{false, true} {
			for _, args := range []bool{false, true} {
				var c1 Codec[nothing]
				var c2 Codec[struct{}]
				var b1, b2 Buffer
				if err := errors.Join(c1.encode(&b1, &nothing{}, arrays, args), c2.encode(&b2, &struct{}{}, arrays, args)); err != nil {
					t.Fatal(err)
				}
				want := map[bool]string{false: "\xc0", true: "\x90"}[args]
				if string(b1.B) != want || string(b2.B) != want {
					t.Errorf("arrays %v, args %v: %x, %x", arrays, args, b1.B, b2.B)
				}
			}
		}
	},
	"map": func(t *testing.T) {
		arrivesAs(t, map[spot]string{{1, 2}: "a"}, map[spot]string{{1, 2}: "a"})
		arrivesAs(t, map[[2]int8]bool{{1, 2}: true}, map[[2]int8]bool{{1, 2}: true})
		arrivesAs(t, map[any]int{true: 1, "a": 2, 300: 3}, map[any]int{true: 1, "a": 2, uint64(300): 3})
		arrivesAs[any](t, map[string]int{"a": 1}, map[string]any{"a": int64(1)})
		arrivesAs[any](t, map[int]int{1: 300}, map[any]any{int64(1): uint64(300)})
		if got := roundTrip(t, map[float64]int{math.NaN(): 1, math.Float64frombits(0x7ff8000000000123): 2}, true); len(got) != 2 {
			t.Errorf("%v", got)
		}
	},
	"list in an interface": func(t *testing.T) {
		arrivesAs[any](t, []string{"a"}, []any{"a"})
		arrivesAs[any](t, [2]bool{true}, []any{true, false})
		arrivesAs[any](t, []byte{1}, []byte{1})
		arrivesAs[any](t, [2]byte{1}, []byte{1, 0})
	},
	"array": func(t *testing.T) {
		arrivesAs(t, [2]spot{{1, 2}}, [2]spot{{1, 2}})
		arrivesAs(t, [3]byte{1}, [3]byte{1})
	},
	"time": func(t *testing.T) {
		zone := time.FixedZone("far", 5*3600)
		here := time.Date(2024, 2, 29, 1, 2, 3, 4, zone)
		utc := here.UTC()
		arrivesAs(t, here, utc)
		arrivesAs(t, time.Time{}, time.Time{})
		arrivesAs[any](t, here, utc)
		arrivesAs(t, stamped{here, &here, []time.Time{here}, map[time.Time]time.Time{here: here}, []any{here}, map[string]any{"t": here}},
			stamped{utc, &utc, []time.Time{utc}, map[time.Time]time.Time{utc: utc}, []any{utc}, map[string]any{"t": utc}})
		if got := arrives(t, time.Now()); strings.Contains(got.String(), "m=") || got.Location() != time.UTC {
			t.Error(got)
		}
	},
	"error in a field": func(t *testing.T) {
		if got := arrives[error](t, io.EOF); got.Error() != "EOF" {
			t.Error(got)
		}
		got := arrives(t, []error{io.EOF, nil, errors.New("")})
		if got[0].Error() != "EOF" || errors.Is(got[0], io.EOF) || got[1] != nil || got[2].Error() != "" {
			t.Errorf("%#v", got)
		}
	},
	"type with its own methods": func(t *testing.T) {
		arrivesAs(t, *bignum.NewInt(1 << 40), *bignum.NewInt(1 << 40))
		u := url.URL{Scheme: "http", User: url.UserPassword("u", "p"), Host: "h"}
		arrivesAs(t, u, u)
		arrivesAs(t, struct{ U *url.URL }{&u}, struct{ U *url.URL }{&u})
		arrivesAs(t, struct{ U *url.URL }{}, struct{ U *url.URL }{})
		arrivesAs[color](t, "red", "color red")
		if got := arrives(t, struct{ O *own }{}); got.O != nil {
			t.Errorf("%+v", got.O) // nil is nil, without a call
		}
	},
	"refused": func(t *testing.T) {
		for field, fault := range refused() {
			err := CheckType(fault)
			var e *TypeError
			if !errors.As(err, &e) || e.Field != field || e.Reason == "" || !strings.Contains(err.Error(), fault.String()) || !strings.Contains(err.Error(), e.Part.String()) {
				t.Errorf("%v: %v, want a fault at %q", fault, err, field)
				continue
			}
			v := reflect.New(fault)
			if err := Encode(new(Buffer), v.Interface(), true); !errors.As(err, &e) {
				t.Errorf("encoding %v: %v", fault, err)
			}
			if err := Decode(&Source{B: []byte{wire.CodeNil}}, v.Interface()); !errors.As(err, &e) {
				t.Errorf("decoding %v: %v", fault, err)
			}
		}
	},
	"refused in an interface": func(t *testing.T) {
		for _, v := range []any{mute{1}, &mute{1}, &atomic.Int64{}, url.UserPassword("a", "b"), slog.Default(), errors.New("text"), func() {}, make(chan int), struct{ F func() }{}, uintptr(1)} {
			for _, in := range []any{v, boxed{v}, []any{1, v}, map[string]any{"v": v}, map[int]any{1: []any{v}}, struct{ P *any }{&v}, map[string]boxed{"": {v}}} {
				var e *TypeError
				if err := Encode(new(Buffer), &in, true); !errors.As(err, &e) {
					t.Errorf("%T in %T: %v", v, in, err)
				}
			}
		}
	},
}

// carton encodes itself, with the encoder that it is given.
type carton struct{ Inside any }

func (c *carton) EncodeMsgpack(enc *msgpack.Encoder) error {
	if err := enc.EncodeArrayLen(1); err != nil {
		return err
	}
	return enc.Encode(c.Inside)
}

func (c *carton) DecodeMsgpack(dec *msgpack.Decoder) error {
	_, err := dec.DecodeArrayLen()
	if err == nil {
		c.Inside, err = dec.DecodeInterface()
	}
	if m, ok := c.Inside.(map[string]any); ok { // small numbers of the library's own
		for k, v := range m {
			m[k] = plain(v)
		}
	}
	return err
}

type (
	mute    struct{ n int }
	opaque2 struct { // as protoc-gen-go writes messages of the opaque API
		//lint:ignore U1000 generated code has it
		state [0]func()
		//lint:ignore U1000 likewise
		xxx *string
		//lint:ignore U1000 likewise
		hidden int32
	}
	selfish struct{ *Selfish }
	hollow  *hollow
	halfway struct{ N int }
	deafOne struct{ N int }
	// Selfish embeds itself by way of another.
	Selfish struct {
		A int
		*selfish
	}
)

func (halfway) MarshalText() ([]byte, error)    { return nil, nil }
func (*deafOne) UnmarshalBinary(b []byte) error { return nil }

// refused maps where the fault is to types.
func refused() map[string]reflect.Type {
	type deep struct {
		Jobs map[string][]struct{ Owner *url.Userinfo }
	}
	return map[string]reflect.Type{
		"Jobs[][].Owner": reflect.TypeFor[deep](),
		"":               reflect.TypeFor[mute](),
		"Count":          reflect.TypeFor[struct{ Count atomic.Int64 }](),
		"Mu":             reflect.TypeFor[struct{ Mu sync.Mutex }](),
		"Log":            reflect.TypeFor[struct{ Log *slog.Logger }](),
		"Message":        reflect.TypeFor[struct{ Message *opaque2 }](),
		"F":              reflect.TypeFor[struct{ F func() }](),
		"C[]":            reflect.TypeFor[struct{ C []chan int }](),
		"U":              reflect.TypeFor[struct{ U unsafe.Pointer }](),
		"Z":              reflect.TypeFor[struct{ Z complex64 }](),
		"P":              reflect.TypeFor[struct{ P uintptr }](),
		"R":              reflect.TypeFor[struct{ R io.Reader }](),
		"S":              reflect.TypeFor[struct{ S fmt.Stringer }](),
		"M[key]":         reflect.TypeFor[struct{ M map[fmt.Stringer]int }](),
		"Half":           reflect.TypeFor[struct{ Half halfway }](),
		"Other":          reflect.TypeFor[struct{ Other *deafOne }](),
		"Self":           reflect.TypeFor[struct{ Self Selfish }](),
		"Hollow":         reflect.TypeFor[struct{ Hollow hollow }](),
		"Twice": reflect.TypeFor[struct {
			Twice struct {
				A int `msgpack:"b"`
				B int `msgpack:"b"`
			}
		}](),
		"Shadow": reflect.TypeFor[struct {
			Shadow struct {
				Base
				ID int
			}
		}](),
		"Timed": reflect.TypeFor[struct {
			Timed struct {
				time.Time
				Note string
			}
		}](),
		"Interned": reflect.TypeFor[struct {
			Interned struct {
				N int `msgpack:",intern"`
			}
		}](),
		"Unset":    reflect.TypeFor[struct{ Unset struct{ *lid } }](),
		"Unset2":   reflect.TypeFor[struct{ Unset2 struct{ level } }](),
		"Spread.F": reflect.TypeFor[struct{ Spread struct{ F func() } }](),
	}
}

func TestWhatTravels(t *testing.T) {
	for name, row := range travelRows {
		t.Run(name, row)
	}
}

// Each row of the document has a test, and the other way round.
func TestTheTableOfWhatTravels(t *testing.T) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if filepath.Dir(dir) == dir {
			t.Fatal("no go.mod")
		}
		dir = filepath.Dir(dir)
	}
	text, err := os.ReadFile(filepath.Join(dir, "WHAT-TRAVELS.md"))
	if err != nil {
		t.Fatal(err)
	}
	written := make(map[string]bool)
	for _, m := range regexp.MustCompile(`(?m)^\| \*\*(.+?)\*\* \|`).FindAllStringSubmatch(string(text), -1) {
		written[m[1]] = true
		if travelRows[m[1]] == nil {
			t.Errorf("row %q has no test", m[1])
		}
	}
	for name := range travelRows {
		if !written[name] {
			t.Errorf("%q is in no row", name)
		}
	}
}

// What can be declared is what was always sent.
func TestWhatIsNotRefused(t *testing.T) {
	for _, ok := range []reflect.Type{
		reflect.TypeFor[everything](), reflect.TypeFor[any](), reflect.TypeFor[error](), reflect.TypeFor[time.Time](), reflect.TypeFor[nothing](), reflect.TypeFor[registered](),
		reflect.TypeFor[*own](), reflect.TypeFor[carton](), reflect.TypeFor[tree](), reflect.TypeFor[list](), reflect.TypeFor[chain](), reflect.TypeFor[cup](), reflect.TypeFor[can](),
		reflect.TypeFor[map[time.Time]url.URL](), reflect.TypeFor[msgpack.RawMessage](), reflect.TypeFor[[]color](), reflect.TypeFor[openArgs](), reflect.TypeFor[mixed](),
		reflect.TypeFor[struct{ _ int }](), reflect.TypeFor[struct{ _ [0]func() }](), reflect.TypeFor[struct {
			A int `msgpack:"-"`
		}](),
		reflect.TypeFor[struct{ Time struct{ time.Time } }](), reflect.TypeFor[bignum.Float](), reflect.TypeFor[slog.Level](), reflect.TypeFor[taught](),
	} {
		if err := CheckType(ok); err != nil {
			t.Error(err)
		}
	}
}

// taught has no exported fields, and the library was told how to encode it.
type taught struct{ _ int }

func init() {
	msgpack.Register(taught{},
		func(e *msgpack.Encoder, v reflect.Value) error { return e.EncodeInt(v.Field(0).Int()) },
		func(d *msgpack.Decoder, v reflect.Value) error { return d.Skip() })
}

// The marker of argument lists forbids no name, and a pointer to a list is one.
func TestArgsMarker(t *testing.T) {
	type run struct {
		_    Args
		Args []string
		Dir  string
	}
	v := run{Args: []string{"a"}, Dir: "/"}
	var c Codec[*run]
	var buf Buffer
	p := &v
	if err := c.EncodeArgs(&buf, &p, true); err != nil || string(buf.B) != "\x92\x91\xa1a\xa1/" {
		t.Fatalf("%q, %v", buf.B, err)
	}
	var got *run
	if err := c.DecodeArgs(&Source{B: buf.B}, &got); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("%+v, %v", got, err)
	}
	arrivesAs(t, v, v)
	arrivesAs(t, &v, &v)
	arrivesAs(t, listed{Path: "p", Line: 1}, listed{Path: "p", Line: 1})
}
