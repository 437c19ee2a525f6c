package codec

import (
	"bytes"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/segment"
)

// TypeError says why the values of a type cannot travel.
type TypeError struct {
	Type   reflect.Type // the whole type
	Field  string       // where in it the fault is, such as "Jobs[].Owner"; "" for the type itself
	Part   reflect.Type // the type at that place
	Reason string

	endless bool // the msgpack library would not come back from looking at it
}

func (e *TypeError) Error() string {
	if e.Field == "" {
		return fmt.Sprintf("values of type %v cannot travel: %s", e.Type, e.Reason)
	}
	return fmt.Sprintf("values of type %v cannot travel: %s is of type %v: %s", e.Type, e.Field, e.Part, e.Reason)
}

// CheckType tells whether values of type t arrive as they were sent, as far as
// the type can tell; what is in an interface is checked when it is encoded. The
// error is a [*TypeError]. See the package documentation for what travels how.
func CheckType(t reflect.Type) error {
	if e := faultOf(t); e != nil { // without a plan: most declared types are not used in every process
		return e
	}
	return nil
}

var (
	timeType  = reflect.TypeFor[time.Time]()
	errorType = reflect.TypeFor[error]()
)

// faultOf finds what in t cannot travel.
func faultOf(t reflect.Type) *TypeError {
	c := checker{seen: make(map[reflect.Type]bool)}
	if e := c.check(t, ""); e != nil {
		e.Type = t
		return e
	}
	return nil
}

type checker struct{ seen map[reflect.Type]bool }

func (c *checker) check(t reflect.Type, at string) *TypeError {
	fault := func(format string, args ...any) *TypeError {
		return &TypeError{Field: strings.TrimPrefix(at, "."), Part: t, Reason: fmt.Sprintf(format, args...)}
	}
	if t.PkgPath() == "" && flat(t.Kind()) || c.seen[t] || t == timeType || segment.KindOf(t) != 0 {
		return nil
	}
	c.seen[t] = true
	if t.Kind() != reflect.Interface && t.Kind() != reflect.Pointer {
		switch codes, missing := ownMethods(t); {
		case borrowed(t) != "":
			return fault("its method %s is that of an embedded field, and the other fields would be lost: give the field a name", borrowed(t))
		case codes:
			return nil
		case missing != "":
			return fault("%s", missing)
		}
	}
	switch t.Kind() {
	case reflect.Pointer:
		for e := t; e.Kind() == reflect.Pointer; {
			if e = e.Elem(); e == t {
				f := fault("it points to itself")
				f.endless = true
				return f
			}
		}
		return c.check(t.Elem(), at)
	case reflect.Slice, reflect.Array:
		return c.check(t.Elem(), at+"[]")
	case reflect.Map:
		if e := c.check(t.Key(), at+"[key]"); e != nil {
			return e
		}
		return c.check(t.Elem(), at+"[]")
	case reflect.Struct:
		fields, reason := fieldsOf(t)
		if reason != "" {
			f := fault("%s", reason)
			f.endless = true // or it complains in the log
			return f
		}
		e := c.fields(t, fields, at, fault)
		if e != nil && !e.endless && toldAbout(t) {
			return nil
		}
		return e
	case reflect.Interface:
		if t.NumMethod() > 0 && t != errorType {
			return fault("it is an interface with methods, and the receiver cannot know what to make: name a type, or use any")
		}
	case reflect.Func, reflect.Chan, reflect.UnsafePointer, reflect.Uintptr:
		return fault("a %v means nothing in another process", t.Kind())
	case reflect.Complex64, reflect.Complex128:
		return fault("MessagePack has no complex numbers: send two floats")
	}
	return nil
}

// fields checks a struct that travels field by field.
func (c *checker) fields(t reflect.Type, fields *wireFields, at string, fault func(string, ...any) *TypeError) *TypeError {
	if len(fields.list) == 0 {
		for i := range t.NumField() {
			f := t.Field(i)
			if !f.IsExported() && !f.Anonymous && f.Name != "_" && f.Type.Size() > 0 && f.Tag.Get("msgpack") != "-" {
				return fault("it has no exported fields and no methods that encode and decode it: it would arrive empty")
			}
		}
	}
	for _, f := range fields.list {
		if e := c.check(f.typ, at+"."+f.goName); e != nil {
			return e
		}
	}
	return nil
}

// ownMethods tells whether t encodes and decodes itself, or what it lacks. A
// method that is given the encoder or writes raw MessagePack may write what the
// fields are decoded from, so it need not have a partner; what writes or reads
// bytes or text must, unless the type is a string or bytes by itself.
func ownMethods(t reflect.Type) (both bool, missing string) {
	p := reflect.PointerTo(t)
	if p.NumMethod() == 0 {
		return false, ""
	}
	encodes := slices.IndexFunc(encoderTypes, p.Implements)
	decodes := slices.IndexFunc(decoderTypes, p.Implements)
	if encodes >= 0 && decodes >= 0 {
		return true, ""
	}
	if t.Kind() == reflect.String || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 {
		return false, ""
	}
	switch {
	case encodes >= firstFixed:
		return false, fmt.Sprintf("it has %s and nothing that decodes it: add %s", encoderTypes[encodes].Method(0).Name, decoderTypes[encodes].Method(0).Name)
	case decodes >= firstFixed:
		return false, fmt.Sprintf("it has %s and nothing that encodes it: add %s", decoderTypes[decodes].Method(0).Name, encoderTypes[decodes].Method(0).Name)
	}
	return false, ""
}

// borrowed is the name of the method by which a struct encodes itself, if that
// is the method of an embedded field and there are others.
func borrowed(t reflect.Type) string {
	if t.Kind() != reflect.Struct || t.NumField() < 2 || reflect.PointerTo(t).NumMethod() == 0 {
		return ""
	}
	for i, encodes := range encoderTypes {
		m, ok := encoderMethod(t, i)
		if p := reflect.PointerTo(t); !ok && p.Implements(encodes) {
			m, ok = encoderMethod(p, i)
		}
		if !ok {
			continue
		}
		f := runtime.FuncForPC(m.Func.Pointer())
		if file, _ := f.FileLine(f.Entry()); file != "<autogenerated>" {
			return "" // its own
		}
		if fs, _ := fieldsOf(t); fs != nil && len(fs.list) > 1 {
			return m.Name
		}
		return ""
	}
	return ""
}

// encoderMethod looks for the method of encoderTypes[i]. The names are constants
// so that the linker keeps these methods only.
func encoderMethod(t reflect.Type, i int) (reflect.Method, bool) {
	if !t.Implements(encoderTypes[i]) {
		return reflect.Method{}, false
	}
	switch i {
	case 0:
		return t.MethodByName("EncodeMsgpack")
	case 1:
		return t.MethodByName("MarshalMsgpack")
	case 2:
		return t.MethodByName("MarshalBinary")
	}
	return t.MethodByName("MarshalText")
}

// firstFixed is where the methods begin, in encoderTypes and decoderTypes, that
// are not free to choose their form on the wire.
const firstFixed = 2

// toldAbout tells whether the msgpack library was told how to encode a struct
// type (Register, RegisterExt): nobody can ask it, but then lists or maps of
// fields make no difference.
func toldAbout(t reflect.Type) (yes bool) {
	defer func() {
		if recover() != nil {
			yes = false
		}
	}()
	var forms [2][]byte
	for i := range forms {
		var b bytes.Buffer
		enc := msgpack.NewEncoder(&b)
		enc.UseArrayEncodedStructs(i == 1)
		if err := enc.EncodeValue(reflect.New(t).Elem()); err != nil {
			return false
		}
		forms[i] = b.Bytes()
	}
	_, asArray := t.FieldByName("_msgpack")
	return bytes.Equal(forms[0], forms[1]) && !asArray
}

// wireFields are a struct's fields as the msgpack library sees them: see its
// getFields (v5.4.1).
type wireFields struct {
	list      []wireField
	byName    map[string]int // into list; aliases, too
	embedded  uintptr        // memory behind embedded pointers, which decoding any field may make
	omitEmpty bool
}

type wireField struct {
	name, goName string
	typ          reflect.Type
}

// fieldsOf lists the fields of t that travel, or says why it cannot.
func fieldsOf(t reflect.Type) (*wireFields, string) { return listFields(t, nil) }

func listFields(t reflect.Type, within []reflect.Type) (*wireFields, string) {
	if slices.Contains(within, t) {
		return nil, "it embeds itself"
	}
	within = append(within, t)
	fs := &wireFields{byName: make(map[string]int)}
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("msgpack"), ",")
		has := func(option string) bool { return slices.Contains(strings.Split(options, ","), option) }
		if name == "-" {
			continue
		}
		if f.Name == "_msgpack" && has("omitempty") {
			fs.omitEmpty = true
		}
		if !f.IsExported() && !f.Anonymous || f.Type == argsType {
			continue
		}
		fs.omitEmpty = fs.omitEmpty || has("omitempty")
		if k := f.Type.Kind(); has("intern") && k != reflect.String && k != reflect.Interface {
			return nil, fmt.Sprintf("field %s has the tag option \"intern\", which is for strings", f.Name)
		}
		if name == "" {
			name = f.Name
		}
		if f.Anonymous && !f.IsExported() && (f.Type.Kind() != reflect.Struct || hasMethods(f.Type)) {
			return nil, fmt.Sprintf("the embedded field %s is not exported, so that it cannot be set", f.Name)
		}
		if f.Anonymous && !has("noinline") {
			inlined, reason := fs.inline(f.Type, within, has("inline"))
			if reason != "" {
				return nil, reason
			}
			if inlined {
				continue
			}
		}
		if _, twice := fs.byName[name]; twice {
			return nil, fmt.Sprintf("two of its fields are called %q on the wire", name)
		}
		fs.add(name, f.Name, f.Type)
		for _, option := range strings.Split(options, ",") {
			if alias, ok := strings.CutPrefix(option, "alias:"); ok {
				fs.byName[alias] = len(fs.list) - 1
			}
		}
	}
	return fs, ""
}

func (fs *wireFields) add(name, goName string, t reflect.Type) {
	fs.byName[name] = len(fs.list)
	fs.list = append(fs.list, wireField{name, goName, t})
}

// inline adds the fields of an embedded struct, unless the library keeps it in
// one piece: then it has methods, or a name that was there before.
func (fs *wireFields) inline(t reflect.Type, within []reflect.Type, always bool) (bool, string) {
	var made uintptr
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
		made += t.Size()
	}
	if t.Kind() != reflect.Struct || t == timeType || hasMethods(t) {
		return false, ""
	}
	inner, reason := listFields(t, within)
	if reason != "" {
		return false, reason
	}
	for _, f := range inner.list {
		if _, shadowed := fs.byName[f.name]; shadowed && !always {
			return false, ""
		}
	}
	fs.embedded += made + inner.embedded
	fs.omitEmpty = fs.omitEmpty || inner.omitEmpty
	for _, f := range inner.list {
		if _, shadowed := fs.byName[f.name]; !shadowed {
			fs.add(f.name, f.goName, f.typ)
		}
	}
	return true, ""
}

// reaches tells whether a t holds a type that want is true for, as far as the
// msgpack library looks into it.
func reaches(t reflect.Type, want func(reflect.Type) bool) bool {
	seen := make(map[reflect.Type]bool)
	var walk func(t reflect.Type) bool
	walk = func(t reflect.Type) bool {
		if seen[t] {
			return false
		}
		seen[t] = true
		if want(t) {
			return true
		}
		if t.Kind() != reflect.Pointer && opaque(t) {
			return false
		}
		switch t.Kind() {
		case reflect.Pointer, reflect.Slice, reflect.Array:
			return walk(t.Elem())
		case reflect.Map:
			return walk(t.Key()) || walk(t.Elem())
		case reflect.Struct:
			for i := range t.NumField() {
				if f := t.Field(i); travels(f) && walk(f.Type) {
					return true
				}
			}
		}
		return false
	}
	return walk(t)
}

// wantsMaps tells whether the form of structs in a t could be seen at the
// receiver: in an interface, by a type's own decoder, or because a map leaves
// out empty fields. Then they are always maps.
func wantsMaps(t reflect.Type) bool {
	return reaches(t, func(t reflect.Type) bool {
		switch {
		case t.Kind() == reflect.Interface:
			return t.NumMethod() == 0
		case segment.KindOf(t) != 0 || t.Kind() == reflect.Pointer:
			return false
		case t.Implements(encoderTypes[0]) || reflect.PointerTo(t).Implements(encoderTypes[0]):
			return true
		case t.Kind() == reflect.Struct && t != timeType && !opaque(t):
			fields, reason := fieldsOf(t)
			return reason == "" && fields.omitEmpty
		}
		return false
	})
}

// holdsTimes tells whether there are times in a t, which are in the local zone
// as the library decodes them.
func holdsTimes(t reflect.Type) bool {
	return reaches(t, func(t reflect.Type) bool { return t == timeType })
}
