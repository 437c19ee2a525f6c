package codec

import (
	"fmt"
	"reflect"

	"github.com/understudy-go/understudy/internal/wire"
)

// insides checks what is in the interfaces inside a value that is about to be
// encoded, which no declaration has told of: whether it can travel, and whether
// pointers and interfaces ever end. (The encoder watches the levels of what it
// writes; a pointer to itself writes nothing.)
type insides struct {
	deepest int
	left    int // visits; a value with so many has too many elements, and the encoder says so
}

func newInsides(lim wire.Limits) *insides {
	lim = lim.OrDefault()
	return &insides{deepest: 8 * max(lim.Depth, wire.DefaultLimits.Depth), left: 8 * max(lim.Elements, 1<<10)}
}

func (in *insides) check(v reflect.Value, depth int) error {
	in.left--
	switch {
	case in.left < 0:
		return nil
	case depth > in.deepest:
		return fmt.Errorf("%w: more than %d pointers, interfaces and containers inside each other%s", wire.ErrTooDeep, in.deepest, wire.WayOut(wire.ErrTooDeep))
	}
	switch v.Kind() {
	case reflect.Interface:
		if v.IsNil() {
			return nil
		}
		v = v.Elem()
		if flat(v.Kind()) {
			return nil
		}
		p := planOf(v.Type())
		if p.err != nil {
			return p.err
		}
		if p.any {
			return in.check(v, depth+1)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			return in.check(v.Elem(), depth+1)
		}
	case reflect.Struct:
		if opaque(v.Type()) {
			return nil
		}
		for i := range v.NumField() {
			if f := v.Type().Field(i); travels(f) && planOf(f.Type).any {
				if err := in.check(v.Field(i), depth+1); err != nil {
					return err
				}
			}
		}
	case reflect.Slice, reflect.Array:
		if opaque(v.Type()) || !planOf(v.Type().Elem()).any {
			return nil
		}
		for i := range v.Len() {
			if err := in.check(v.Index(i), depth+1); err != nil {
				return err
			}
		}
	case reflect.Map:
		return in.checkMap(v, depth)
	}
	return nil
}

func (in *insides) checkMap(v reflect.Value, depth int) error {
	t := v.Type()
	if opaque(t) {
		return nil
	}
	keys, values := planOf(t.Key()).any, planOf(t.Elem()).any
	for iter := v.MapRange(); iter.Next(); {
		if keys {
			if err := in.check(iter.Key(), depth+1); err != nil {
				return err
			}
		}
		if values {
			if err := in.check(iter.Value(), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// flat tells whether the values of a kind hold no other, and can travel.
func flat(k reflect.Kind) bool {
	return k >= reflect.Bool && k <= reflect.Float64 && k != reflect.Uintptr || k == reflect.String
}
