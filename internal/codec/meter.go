package codec

import (
	"fmt"
	"reflect"

	"github.com/understudy-go/understudy/internal/wire"
)

// A message of few bytes can stand for much memory: a nil is one byte, and an
// element of a slice of large structs. So what decoding would make is counted
// first, where it could be more than is allowed.
const (
	leastMemory   = 64 << 20 // what any message may make
	memoryPerByte = 32       // what a longer one may make
)

// memoryFor is how much a message of n bytes may make, in bytes.
func memoryFor(n int) int64 { return max(leastMemory, memoryPerByte*int64(n)) }

// interfaceSize is about what a value in an interface, with its map entry, takes.
const interfaceSize = 100

// errMade is why a message is not decoded that would make too much.
func errMade(n int) error {
	return fmt.Errorf("%w: %d bytes would become more than %d MiB in memory (the larger of %d MiB and %d times the message): send it in parts, or pointers that may be nil instead of large elements",
		wire.ErrTooLarge, n, memoryFor(n)>>20, leastMemory>>20, memoryPerByte)
}

// checkMemory bounds what decoding raw into a value with the plan makes. raw is
// at least a byte for each element, so most messages need not be looked at.
func (p *plan) checkMemory(t reflect.Type, raw []byte, args bool) error {
	allowed := memoryFor(len(raw))
	if int64(p.makes)*int64(len(raw)) <= allowed {
		return nil
	}
	m := meter{r: wire.Reader{Raw: raw}, left: allowed}
	if args {
		n := m.r.Array("arguments")
		if p.isArgs {
			if t.Kind() == reflect.Pointer {
				t = t.Elem()
			}
			for _, i := range p.args {
				if n--; n >= 0 {
					m.value(t.Field(i).Type)
				}
			}
		} else if n == 1 {
			m.value(t)
		}
	} else {
		m.value(t)
	}
	if m.left < 0 {
		return errMade(len(raw))
	}
	return nil
}

// meter follows a message and the type it is decoded into, and counts down.
// What does not fit the type is left to the decoder, which fails.
type meter struct {
	r    wire.Reader
	left int64
}

func (m *meter) done() bool { return m.left < 0 || m.r.Err != nil || m.r.Pos >= len(m.r.Raw) }

func (m *meter) take(n, size int) { m.left -= int64(n) * int64(size) }

// container takes the header of an array or map that the value begins with.
func (m *meter) container() (n int, isMap, ok bool) {
	c, h, n, ok := m.r.Head()
	if !ok || h.Kind != wire.Container {
		m.r.Skip("value")
		return 0, false, false
	}
	m.r.Pos += int(h.Size)
	if !wire.IsArray(c) {
		return n / 2, true, true
	}
	return n, false, true
}

func (m *meter) skip(n int) {
	for ; n > 0 && !m.done(); n-- {
		m.r.Skip("value")
	}
}

func (m *meter) value(t reflect.Type) {
	for t.Kind() == reflect.Pointer && !m.done() && m.r.Raw[m.r.Pos] != wire.CodeNil {
		t = t.Elem()
		m.take(1, int(t.Size()))
	}
	if m.done() {
		return
	}
	if t.Kind() == reflect.Interface {
		m.any()
		return
	}
	if planOf(t).self {
		m.r.Skip("value") // its own decoder is its own affair
		return
	}
	n, isMap, ok := m.container()
	if !ok {
		return
	}
	switch t.Kind() {
	case reflect.Slice:
		m.take(n, int(t.Elem().Size()))
		m.elements(n, t.Elem())
	case reflect.Array:
		m.elements(n, t.Elem())
	case reflect.Map:
		m.take(1, 48)
		m.take(n, 2*int(t.Key().Size()+t.Elem().Size()))
		for ; isMap && n > 0 && !m.done(); n-- {
			m.value(t.Key())
			m.value(t.Elem())
		}
	case reflect.Struct:
		m.fields(t, n, isMap)
	default:
		if isMap {
			n *= 2
		}
		m.skip(n)
	}
}

func (m *meter) elements(n int, t reflect.Type) {
	if planOf(t).makes == 0 {
		m.skip(n)
		return
	}
	for ; n > 0 && !m.done(); n-- {
		m.value(t)
	}
}

func (m *meter) fields(t reflect.Type, n int, isMap bool) {
	fs := planOf(t).fields
	if fs == nil {
		m.skip(n)
		return
	}
	m.take(1, int(fs.embedded))
	for i := 0; i < n && !m.done(); i++ {
		at := i
		if isMap {
			var known bool
			if at, known = fs.byName[string(m.r.Str("key"))]; !known {
				at = len(fs.list)
			}
		}
		if at < len(fs.list) {
			m.value(fs.list[at].typ)
		} else {
			m.r.Skip("value")
		}
	}
}

// any counts a value in an interface.
func (m *meter) any() {
	for pending := 1; pending > 0 && !m.done(); pending-- {
		c, h, n, ok := m.r.Head()
		if !ok {
			m.r.Fail("value")
			return
		}
		if h.Kind != wire.Container {
			m.take(1, 8)
			m.r.Skip("value")
			continue
		}
		m.r.Pos += int(h.Size)
		pending += n
		if wire.IsArray(c) {
			m.take(1, 24)
			m.take(n, 16)
		} else {
			m.take(1, 48)
			m.take(n/2, interfaceSize)
		}
	}
}
