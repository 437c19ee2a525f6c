package codec

import (
	"fmt"
	"reflect"
	"time"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/wire"
)

// decodeMap decodes a map into an interface. The library's own way fails for
// keys that are no strings. Its length is bounded by the scan.
func decodeMap(d *msgpack.Decoder) (any, error) {
	n, err := d.DecodeMapLen()
	if err != nil || n < 0 {
		return nil, err
	}
	m := make(map[string]any, n)
	for i := range n {
		c, err := d.PeekCode()
		if err != nil {
			return nil, err
		}
		if !wire.IsString(c) && (c < wire.CodeBin8 || c > wire.CodeBin32) {
			return decodeMixedMap(d, m, n-i)
		}
		key, err := d.DecodeString()
		if err != nil {
			return nil, err
		}
		if m[key], err = d.DecodeInterface(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// decodeMixedMap goes on when a key is no string.
func decodeMixedMap(d *msgpack.Decoder, m map[string]any, n int) (any, error) {
	mixed := make(map[any]any, len(m)+n)
	for k, v := range m {
		mixed[k] = v
	}
	for range n {
		key, err := d.DecodeInterface()
		if err != nil {
			return nil, err
		}
		if key != nil && !reflect.TypeOf(key).Comparable() {
			return nil, fmt.Errorf("a map with a %T for a key", key)
		}
		if mixed[plain(key)], err = d.DecodeInterface(); err != nil {
			return nil, err
		}
	}
	return mixed, nil
}

// The library gives an integer in an interface the type of its form on the
// wire, int8 to uint64, and its loose mode makes strings of binaries. So the
// numbers in interfaces are widened afterwards, in types that have any.

// plain widens a number, and those in slices and maps, in place.
func plain(x any) any {
	switch x := x.(type) {
	case int8:
		return int64(x)
	case int16:
		return int64(x)
	case int32:
		return int64(x)
	case uint8:
		return uint64(x)
	case uint16:
		return uint64(x)
	case uint32:
		return uint64(x)
	case float32:
		return float64(x)
	case time.Time:
		return x.UTC()
	case []any:
		for i, e := range x {
			x[i] = plain(e)
		}
	case map[string]any:
		for k, e := range x {
			x[k] = plain(e)
		}
	case map[any]any:
		for k, e := range x {
			x[k] = plain(e)
		}
	}
	return x
}

// settle widens the numbers in the interfaces inside v, which was just decoded,
// and puts times, which the library leaves in the local zone, in UTC.
func settle(v reflect.Value) {
	t := v.Type()
	switch p := planOf(t); {
	case !p.settles:
		return
	case t == timeType:
		if v.CanSet() {
			*v.Addr().Interface().(*time.Time) = v.Interface().(time.Time).UTC()
		}
		return
	case p.self && t.Kind() != reflect.Pointer:
		return // what it decodes is its own affair
	}
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() && v.CanSet() {
			v.Set(reflect.ValueOf(plain(v.Interface())))
		}
	case reflect.Pointer:
		if !v.IsNil() {
			settle(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if travels(v.Type().Field(i)) {
				settle(v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			settle(v.Index(i))
		}
	case reflect.Map:
		settleMap(v)
	}
}

func settleMap(v reflect.Value) {
	t := v.Type()
	keys := planOf(t.Key()).settles
	for iter := v.MapRange(); iter.Next(); {
		key := reflect.New(t.Key()).Elem()
		key.Set(iter.Key())
		value := reflect.New(t.Elem()).Elem()
		value.Set(iter.Value())
		settle(value)
		if keys {
			settle(key)
			v.SetMapIndex(iter.Key(), reflect.Value{})
		}
		v.SetMapIndex(key, value)
	}
}
