package codec

import (
	"bytes"
	"reflect"

	"github.com/vmihailenco/msgpack/v5"
)

// callsItself tells whether the msgpack library would do nothing for a value of
// type t but call its EncodeMsgpack and DecodeMsgpack. The library finds that out
// by reflection for each value, which costs as much as the rest. It may also have
// been told otherwise in a way that nobody can ask it for (Register): so both
// ways are tried on the zero value before the short one is taken.
func callsItself(t reflect.Type, p *plan) (direct bool) {
	if p.err != nil || p.any || p.interned || p.isArgs || t.Kind() != reflect.Struct {
		return false
	}
	zero := reflect.New(t)
	encoder, encodes := zero.Interface().(msgpack.CustomEncoder)
	_, decodes := zero.Interface().(msgpack.CustomDecoder)
	if !encodes || !decodes {
		return false
	}
	defer func() {
		if recover() != nil {
			direct = false // its zero value is nothing to try it on
		}
	}()
	var theirs, ours bytes.Buffer
	if msgpack.NewEncoder(&theirs).Encode(zero.Interface()) != nil || encoder.EncodeMsgpack(msgpack.NewEncoder(&ours)) != nil {
		return false
	}
	return bytes.Equal(theirs.Bytes(), ours.Bytes())
}
