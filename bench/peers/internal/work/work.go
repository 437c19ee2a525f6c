// Package work is what every row does: a small message goes there, is changed,
// and comes back.
package work

import (
	"encoding/binary"
	"fmt"
)

// Note is the message: an integer and a short string.
type Note struct {
	N int
	S string
}

const (
	ping = "ping, 16 letters"
	pong = "pong, 16 letters"
)

// Request is the i-th request of a round.
func Request(i int) Note { return Note{1000 + i, ping} }

// Change is what the other side does. The string is another one in each
// direction, so that no reply is mistaken for a request.
func Change(n Note) Note {
	if n.S == ping {
		return Note{n.N + 1, pong}
	}
	return Note{n.N + 1, ping}
}

// Check says whether a reply is the right one for the i-th request.
func Check(i int, got Note) error {
	if want := (Note{1000 + i + 1, pong}); got != want {
		return fmt.Errorf("reply %v to request %v, want %v", got, Request(i), want)
	}
	return nil
}

// RawSize is how large a message is where there is no codec. It is laid out as
// in memory: the integer, the string padded with zeros.
const RawSize = 64

const rawString = 8 // where the string begins

// PutRaw writes a note into a raw message.
func PutRaw(b []byte, n Note) {
	binary.NativeEndian.PutUint64(b, uint64(n.N))
	copy(b[rawString:], n.S)
}

// ChangeRaw does what Change does, in place.
func ChangeRaw(b []byte) {
	binary.NativeEndian.PutUint64(b, binary.NativeEndian.Uint64(b)+1)
	if s := b[rawString : rawString+len(ping)]; string(s) == ping {
		copy(s, pong)
	} else {
		copy(s, ping)
	}
}

// CheckRaw does what Check does.
func CheckRaw(i int, b []byte) error {
	if n := int(binary.NativeEndian.Uint64(b)); n != 1000+i+1 || string(b[rawString:rawString+len(pong)]) != pong {
		return Check(i, Note{n, string(b[rawString : rawString+len(pong)])})
	}
	return nil
}
