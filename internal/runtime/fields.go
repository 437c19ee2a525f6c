package runtime

import (
	"github.com/understudy-go/understudy/internal/wire"
)

// visitor is what is done to each field of a struct that travels as a map.
type visitor interface {
	Int(key string, v *int)
	Int64(key string, v *int64)
	Uint(key string, v *uint64)
	Bool(key string, v *bool)
	String(key string, v *string)
	Strings(key string, v *[]string)
	Uints(key string, v *[]uint64)
	Raw(key string, v *[]byte) // encoded
}

// visited is a struct with a list of its fields.
type visited interface{ fields(v visitor) }

// mapOf encodes a struct. Zero values are left out.
func mapOf(s visited) *wire.Fields {
	var w fieldWriter
	s.fields(&w)
	return &w.f
}

// take returns what decodes a map into a struct, field by field.
func take(s visited) func(key string, f *wire.Field) {
	return func(key string, f *wire.Field) { s.fields(&fieldReader{key, f}) }
}

type fieldWriter struct{ f wire.Fields }

func (w *fieldWriter) Int(key string, v *int)          { w.f.Int(key, int64(*v)) }
func (w *fieldWriter) Int64(key string, v *int64)      { w.f.Int(key, *v) }
func (w *fieldWriter) Uint(key string, v *uint64)      { w.f.Uint(key, *v) }
func (w *fieldWriter) Bool(key string, v *bool)        { w.f.Bool(key, *v) }
func (w *fieldWriter) String(key string, v *string)    { w.f.String(key, *v) }
func (w *fieldWriter) Strings(key string, v *[]string) { w.f.Strings(key, *v) }
func (w *fieldWriter) Uints(key string, v *[]uint64)   { w.f.Uints(key, *v) }
func (w *fieldWriter) Raw(key string, v *[]byte)       { w.f.Raw(key, *v) }

// fieldReader takes the one field that is called key.
type fieldReader struct {
	key string
	f   *wire.Field
}

func field[T any](r *fieldReader, key string, v *T, take func() T) {
	if key == r.key {
		*v = take()
	}
}

func (r *fieldReader) Int(key string, v *int) {
	field(r, key, v, func() int { return int(r.f.Int()) })
}
func (r *fieldReader) Int64(key string, v *int64)      { field(r, key, v, r.f.Int) }
func (r *fieldReader) Uint(key string, v *uint64)      { field(r, key, v, r.f.Uint) }
func (r *fieldReader) Bool(key string, v *bool)        { field(r, key, v, r.f.Bool) }
func (r *fieldReader) String(key string, v *string)    { field(r, key, v, r.f.String) }
func (r *fieldReader) Strings(key string, v *[]string) { field(r, key, v, r.f.Strings) }
func (r *fieldReader) Uints(key string, v *[]uint64)   { field(r, key, v, r.f.Uints) }

// Raw copies: the message may be dropped before the value is used.
func (r *fieldReader) Raw(key string, v *[]byte) {
	field(r, key, v, func() []byte { return append([]byte(nil), r.f.Raw()...) })
}
