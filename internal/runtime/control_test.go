package runtime

import (
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
)

// allControls are the control methods of this package and of the connection.
func allControls(t *testing.T) map[string]control {
	all := maps.Clone(controls)
	for method, c := range conn.Controls() {
		if _, twice := all[method]; twice {
			t.Errorf("%s has two rows: the connection serves it, and the runtime never gets it", method)
		}
		all[method] = control{args: numbers(c.Args), request: c.Request}
	}
	return all
}

// PROTOCOL.md and the table of control messages agree: on the methods, on their
// arguments, and on which are requests.
func TestControlMessagesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	protocol := string(text)
	controls := allControls(t)
	documented := make(map[string]string) // method -> arguments, as the first place has them
	for _, m := range regexp.MustCompile("`(\\$/[a-z]+)(?:\\s*([\\[{][^\\]}]*)[\\]}])?`( \\(request)?").FindAllStringSubmatch(protocol, -1) {
		if documented[m[1]] == "" {
			documented[m[1]] = m[2]
		}
		if request := controls[m[1]].request; m[3] != "" && !request {
			t.Errorf("%s is a request in PROTOCOL.md alone", m[1])
		}
	}
	for method := range documented {
		if _, ok := controls[method]; !ok {
			t.Errorf("%s is in PROTOCOL.md alone", method)
		}
	}
	for method, c := range controls {
		args, ok := documented[method]
		if !ok {
			t.Errorf("%s is not in PROTOCOL.md", method)
			continue
		}
		names := fieldNames(c.args)
		for _, name := range regexp.MustCompile(`[a-z_]+`).FindAllString(args, -1) {
			if !slices.Contains(names, name) {
				t.Errorf("%s has no argument %q, as PROTOCOL.md says: %v", method, name, names)
			}
		}
		for _, name := range names {
			if !regexp.MustCompile(`\b` + name + `\b`).MatchString(protocol) {
				t.Errorf("argument %q of %s is not in PROTOCOL.md", name, method)
			}
		}
	}
}

// Each method that can arrive has a handler, at the end where it does.
func TestControlMessagesHaveHandlers(t *testing.T) {
	for method, c := range controls {
		has := map[direction]bool{
			down: c.child != nil, up: c.parent != nil || c.server != nil, upDown: c.server != nil,
			along: c.receiver != nil, against: c.sender != nil,
		}
		if !has[c.way] {
			t.Errorf("%s has no handler for its direction", method)
		}
	}
}

func fieldNames(args any) (names []string) {
	switch v := reflect.New(reflect.TypeOf(args)).Interface().(type) {
	case *numbers:
		return args.(numbers)
	case visited:
		v.fields(&fieldNamer{&names})
		return names
	}
	var of func(t reflect.Type)
	of = func(t reflect.Type) {
		for i := range t.NumField() {
			f := t.Field(i)
			if f.Anonymous {
				of(f.Type)
			} else if name, _, _ := strings.Cut(f.Tag.Get("msgpack"), ","); name != "-" {
				names = append(names, name)
			}
		}
	}
	of(reflect.TypeOf(args))
	return names
}

type fieldNamer struct{ names *[]string }

func (n *fieldNamer) add(key string)                  { *n.names = append(*n.names, key) }
func (n *fieldNamer) Int(key string, _ *int)          { n.add(key) }
func (n *fieldNamer) Int64(key string, _ *int64)      { n.add(key) }
func (n *fieldNamer) Uint(key string, _ *uint64)      { n.add(key) }
func (n *fieldNamer) Bool(key string, _ *bool)        { n.add(key) }
func (n *fieldNamer) String(key string, _ *string)    { n.add(key) }
func (n *fieldNamer) Strings(key string, _ *[]string) { n.add(key) }
func (n *fieldNamer) Uints(key string, _ *[]uint64)   { n.add(key) }
func (n *fieldNamer) Raw(key string, _ *[]byte)       { n.add(key) }

// What is written is what is read, whatever has a value.
func TestFieldsTravel(t *testing.T) {
	h := hello{1, 2, "b", "s", 3, -4, []string{"x", "y"}, 5, 6, 7}
	o := startOrder{"k", "/p", "i", 1, []byte{0x91, 5}, 2, 3, 4, 5, 6, -7, 8, -9, -10, "/s", "prog", "/f", true, []uint64{1, 2}}
	for _, c := range []struct{ from, to visited }{{&h, new(hello)}, {&o, new(startOrder)}} {
		if err := wire.ReadParams(mapOf(c.from).Params(), take(c.to)); err != nil || !reflect.DeepEqual(c.from, c.to) {
			t.Errorf("%+v became %+v (%v)", c.from, c.to, err)
		}
	}
}

// An exit status travels with its error, on the same level as its own fields.
func TestExitStatusTravels(t *testing.T) {
	x := endedItself(os.ErrNotExist)
	x.Code, x.Signal, x.Stdout, x.Stderr = 1, 9, []string{"out"}, []string{"err"}
	raw := codec.ControlParams(toWireExit(x, 0))
	var m map[string]any
	if err := codec.DecodeControl(raw, &m); err != nil || len(m) != 6 || m["err"] == nil {
		t.Errorf("on the wire %v (%v)", m, err)
	}
	var w wireExit
	if err := codec.DecodeControl(raw, &w); err != nil {
		t.Fatal(err)
	}
	got := w.exit()
	if got.Err == nil || got.Err.Error() != x.Err.Error() {
		t.Errorf("error %v, want %v", got.Err, x.Err)
	}
	if got.Err, x.Err = nil, nil; !reflect.DeepEqual(got, x) {
		t.Errorf("%+v, want %+v", got, x)
	}
}
