package wire

// The first messages of a connection are written and read by hand: the codec
// learns about a type by reflection when it first meets it, and in a process
// that has just begun that is a good part of its start.

// Fields builds a map with string keys. Zero values are left out.
type Fields struct {
	b []byte
	n int
}

func (f *Fields) key(key string) {
	f.b = AppendString(f.b, key)
	f.n++
}

// Int adds a number.
func (f *Fields) Int(key string, v int64) {
	switch {
	case v > 0:
		f.Uint(key, uint64(v))
	case v < 0:
		f.key(key)
		f.b = append(f.b, CodeInt64, byte(v>>56), byte(v>>48), byte(v>>40), byte(v>>32), byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
	}
}

// Uint adds an unsigned number.
func (f *Fields) Uint(key string, v uint64) {
	if v != 0 {
		f.key(key)
		f.b = AppendUint(f.b, v)
	}
}

// Bool adds a truth.
func (f *Fields) Bool(key string, v bool) {
	if v {
		f.key(key)
		f.b = append(f.b, CodeTrue)
	}
}

// String adds a string.
func (f *Fields) String(key, v string) {
	if v != "" {
		f.key(key)
		f.b = AppendString(f.b, v)
	}
}

// Strings adds a list of strings.
func (f *Fields) Strings(key string, list []string) {
	if len(list) > 0 {
		f.key(key)
		f.b = AppendArrayHead(f.b, len(list))
		for _, s := range list {
			f.b = AppendString(f.b, s)
		}
	}
}

// Uints adds a list of unsigned numbers.
func (f *Fields) Uints(key string, list []uint64) {
	if len(list) > 0 {
		f.key(key)
		f.b = appendUints(f.b, list)
	}
}

// Raw adds an encoded value.
func (f *Fields) Raw(key string, v []byte) {
	if len(v) > 0 {
		f.key(key)
		f.b = append(f.b, v...)
	}
}

// Map returns the map.
func (f *Fields) Map() []byte {
	return append(appendMapHead(make([]byte, 0, len(f.b)+5), f.n), f.b...)
}

// Params returns the argument list whose one argument is the map.
func (f *Fields) Params() []byte { return append([]byte{FixArray | 1}, f.Map()...) }

// Field is one value of a map that is being read. A method of another type
// than the value's ends the reading with an error; a value that no method takes
// is skipped.
type Field struct{ r Reader }

// Int takes a number.
func (f *Field) Int() int64 {
	c, h, _, ok := f.r.Head()
	if ok {
		if v, negative, ok := Integer(c, f.r.Raw[f.r.Pos+1:]); ok && negative == (int64(v) < 0) {
			f.r.Pos += int(h.Size)
			return int64(v)
		}
	}
	f.r.Fail("number")
	return 0
}

// Uint takes an unsigned number.
func (f *Field) Uint() uint64 { return f.r.Uint("number") }

// Bool takes a truth.
func (f *Field) Bool() bool { return f.r.bool("truth value") }

// String takes a string.
func (f *Field) String() string { return string(f.r.Str("string")) }

// Strings takes a list of strings.
func (f *Field) Strings() []string {
	var list []string
	for range f.r.Array("list of strings") {
		list = append(list, string(f.r.Str("string")))
	}
	return list
}

// Uints takes a list of unsigned numbers.
func (f *Field) Uints() []uint64 { return f.r.uints(nil, "list of numbers") }

// Raw takes the value as it is encoded. It is part of what is being read.
func (f *Field) Raw() []byte { return f.r.Skip("value") }

// ReadParams reads the argument list whose first argument is a map, as
// ReadFields does.
func ReadParams(raw []byte, take func(key string, f *Field)) error {
	r := Reader{Raw: raw}
	if n := r.Array("control arguments"); r.Err == nil && n == 0 {
		r.Fail("control argument")
	}
	if r.Err != nil {
		return r.Err
	}
	return ReadFields(r.Skip("control argument"), take)
}

// ReadFields hands each value of a map with string keys to take. The bytes were
// scanned. The error is a [*ProtocolError].
func ReadFields(raw []byte, take func(key string, f *Field)) error {
	f := Field{Reader{Raw: raw}}
	for n := f.r.pairs("fields"); n > 0 && f.r.Err == nil; n-- {
		key := f.r.Str("key")
		start := f.r.Pos
		f.r.Skip("value")
		end := f.r.Pos
		if f.r.Err != nil {
			break
		}
		f.r.Pos = start
		take(string(key), &f)
		if f.r.Err == nil {
			f.r.Pos = end
		}
	}
	return f.r.Err
}
