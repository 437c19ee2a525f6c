package codec

import (
	"bytes"
	"reflect"
	"slices"
	"strings"

	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
)

// shape is how to encode and decode a type of the simplest and most frequent
// kind without the msgpack library, whose reflection costs several times what
// the values do: a boolean, number, string, []byte or array in shared memory, or
// a struct of up to 15 of them. It writes the very bytes that the library writes, and reads only
// what it is sure about: for all else there is the library.
type shape struct {
	scalar  bool // one value, not a struct
	isArgs  bool // the struct is an argument list
	refers  bool // there are arrays in it
	nothing bool // a struct type without fields
	fields  []shapeField
}

type shapeField struct {
	offset uintptr
	kind   reflect.Kind // reflect.Slice is []byte, reflect.Struct an array
	array  segment.Kind // of an array
	key    string       // the field's name as it is encoded
}

// shapeOf returns the shape of t; nil if it has none. The library may have been
// told about a type or its fields in ways that nobody can ask it for (Register,
// RegisterExt), and its tags have a grammar of their own: so a shape is tried
// against it before it is used.
func shapeOf(t reflect.Type, p *plan) *shape {
	s := &shape{isArgs: p.isArgs, nothing: isNothing(t)}
	if p.err != nil {
		return nil
	}
	if f, ok := fieldOf(t); ok {
		s.scalar, s.fields = true, []shapeField{f}
	} else if t.Kind() != reflect.Struct || hasMethods(t) || !s.addFields(t) {
		return nil
	}
	s.refers = slices.ContainsFunc(s.fields, func(f shapeField) bool { return f.array != 0 })
	if !s.agrees(t) {
		return nil
	}
	return s
}

func (s *shape) addFields(t reflect.Type) bool {
	seen := make(map[string]bool)
	for i := range t.NumField() {
		sf := t.Field(i)
		tag := sf.Tag.Get("msgpack")
		switch {
		case (sf.Anonymous || sf.Name == "_") && sf.Type == argsType && tag == "":
			continue
		case sf.Anonymous || sf.Name == "_msgpack" || !plainName(tag):
			return false
		case !sf.IsExported() || tag == "-":
			continue
		}
		f, ok := fieldOf(sf.Type)
		name := sf.Name
		if tag != "" {
			name = tag
		}
		if !ok || seen[name] || len(s.fields) == 15 {
			return false
		}
		seen[name] = true
		f.offset, f.key = sf.Offset, string(wire.AppendString(nil, name))
		s.fields = append(s.fields, f)
	}
	return len(s.fields) > 0 || t.Size() == 0
}

// plainName tells whether a tag is empty or a name, without options.
func plainName(tag string) bool {
	return strings.IndexFunc(tag, func(r rune) bool {
		return r != '_' && r != '-' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) < 0
}

func fieldOf(t reflect.Type) (shapeField, bool) {
	if k := segment.KindOf(t); k != 0 {
		return shapeField{kind: reflect.Struct, array: k}, true
	}
	if hasMethods(t) {
		return shapeField{}, false
	}
	switch k := t.Kind(); k {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return shapeField{kind: k}, true
	case reflect.Slice:
		return shapeField{kind: k}, t.Elem() == reflect.TypeFor[byte]()
	}
	return shapeField{}, false
}

// hasMethods tells whether a type or its pointer encodes or decodes itself.
func hasMethods(t reflect.Type) bool {
	if t.Kind() == reflect.Interface || t.Kind() == reflect.Pointer {
		return true // as good as
	}
	p := reflect.PointerTo(t) // has the methods of t, too
	return slices.ContainsFunc(encoderTypes, p.Implements) || slices.ContainsFunc(decoderTypes, p.Implements)
}

// agrees compares the shape with the library.
func (s *shape) agrees(t reflect.Type) bool {
	zero, full := reflect.New(t), reflect.New(t)
	s.fill(full.Elem())
	for _, v := range []reflect.Value{zero, full} {
		for _, arrays := range []bool{false, true} {
			for _, args := range []bool{false, true} {
				if !s.agreesOn(v, arrays, args) {
					return false
				}
			}
		}
	}
	return true
}

func (s *shape) agreesOn(v reflect.Value, arrays, args bool) bool {
	var theirs, ours Buffer
	if encode(&theirs, v.Interface(), arrays, args) != nil || !s.encode(&ours, v.UnsafePointer(), arrays, args) {
		return false
	}
	if !bytes.Equal(theirs.B, ours.B) {
		return false
	}
	theirV, ourV := reflect.New(v.Type().Elem()), reflect.New(v.Type().Elem())
	if decode(&Source{B: ours.B}, theirV.Interface(), args) != nil || !s.decode(&Source{B: ours.B}, ourV.UnsafePointer(), args) {
		return false
	}
	return reflect.DeepEqual(theirV.Interface(), v.Interface()) && reflect.DeepEqual(ourV.Interface(), v.Interface())
}

// fill makes a value in which no field is like another, as far as can be.
func (s *shape) fill(v reflect.Value) {
	n := 0
	each := func(f reflect.Value) {
		n++
		switch {
		case f.Kind() == reflect.Bool:
			f.SetBool(n%2 == 1)
		case f.Kind() == reflect.String:
			f.SetString(strings.Repeat("s", n))
		case f.Kind() == reflect.Slice:
			f.SetBytes([]byte{byte(n)})
		case f.Kind() == reflect.Struct: // one without elements has no memory
			segment.ReadReference([]byte{wire.FixArray | 6, wire.CodeNil, 0, 0, byte(segment.KindOf(f.Type())), byte(n), 0}, f.Addr().UnsafePointer(), segment.KindOf(f.Type()), nil)
		case f.CanInt():
			f.SetInt(int64(-32 - n))
		case f.CanUint():
			f.SetUint(uint64(128 + n))
		default:
			f.SetFloat(float64(n) + 0.5)
		}
	}
	if s.scalar {
		each(v)
		return
	}
	for i := range v.NumField() {
		if f := v.Type().Field(i); f.IsExported() && !f.Anonymous && f.Tag.Get("msgpack") != "-" {
			each(v.Field(i))
		}
	}
}
