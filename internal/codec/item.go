package codec

import (
	"github.com/understudy-go/understudy/internal/wire"
)

// MethodItem is the control message that carries one item of a stream.
const MethodItem = "$/item" // {id, value}

// AppendItemHead appends the message of an item up to its value, which the
// caller encodes behind it, into the same memory: so what can be a result can
// be an item. [AppendMetaTo] may follow. id is the request's.
func AppendItemHead(b []byte, id uint64) []byte {
	b = append(wire.AppendNotifyHead(b, MethodItem), wire.FixArray|1, wire.FixMap|2)
	b = wire.AppendUint(wire.AppendString(b, "id"), id)
	return wire.AppendString(b, "value")
}

// ParseItem takes the argument list of an item apart. value is raw, and part of
// params.
func ParseItem(params []byte) (id uint64, value []byte, err error) {
	err = wire.ReadParams(params, func(key string, f *wire.Field) {
		switch key {
		case "id":
			id = f.Uint()
		case "value":
			value = f.Raw()
		}
	})
	if err == nil && value == nil {
		value = []byte{wire.CodeNil}
	}
	return id, value, err
}
