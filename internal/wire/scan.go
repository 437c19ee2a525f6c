package wire

import (
	"fmt"
)

// Scanner finds where messages end in a stream of MessagePack values, and
// refuses a message that breaks its limits. It is both the framing of a
// connection and the guard of the decoder behind it: the msgpack library
// allocates what a header claims, so a claim is checked here, before the bytes
// that should follow have even arrived.
//
// Its method Frame is what transport.NewSocket wants. Its cost is linear in the bytes of a message
// however they are split. The zero value is ready; a Scanner serves one stream
// and one goroutine.
type Scanner struct {
	Limits Limits // change it between messages only

	lim      Limits // Limits with its defaults, while a message is being scanned
	pos      int64  // offset of the next header; it may lie beyond the data at hand
	left     int    // values that the innermost container still lacks
	open     []int  // the same for the containers around it, outermost first
	pending  int64  // values that all of them lack: each takes a byte at least
	elements int64  // values that containers have claimed so far
	err      error  // the stream is broken
}

// Frame takes the stream from the beginning of a message on. It returns the
// length of the message when it is complete, else 0; then it must be called
// with the same bytes and more behind them. A [*ProtocolError] is final: every
// further call returns it, until Reset.
func (s *Scanner) Frame(data []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	if s.pos == 0 {
		s.lim = s.Limits.OrDefault()
		s.left, s.pending = 1, 1
	}
	for s.pending > 0 {
		if s.left > 1 {
			s.scalars(data)
		}
		if s.pos >= int64(len(data)) || !s.value(data[s.pos:]) {
			return 0, s.err
		}
	}
	n := int(s.pos) // not beyond the limit, which is an int
	if n > len(data) {
		return 0, nil
	}
	s.Reset()
	return n, nil
}

// Reset forgets the message under way, and an error.
func (s *Scanner) Reset() {
	*s = Scanner{Limits: s.Limits, open: s.open[:0]}
}

// scalars passes values of fixed size quickly, up to one that is not, or is the
// last of its container, or breaks a limit: those are left to value.
func (s *Scanner) scalars(data []byte) {
	pos, left := s.pos, s.left
	slack := int64(s.lim.Bytes) - pos - s.pending // for what is more than a byte a value
	for ; left > 1 && pos < int64(len(data)); left-- {
		h := &Headers[data[pos]]
		slack -= int64(h.Size) - 1
		if h.Kind != scalar || h.Length > 0 || slack < 0 {
			break
		}
		pos += int64(h.Size)
	}
	s.pending -= int64(s.left - left)
	s.pos, s.left = pos, left
}

// value takes one header from the beginning of data, which is not empty. It is
// false when the header is not complete, or when s.err says what is wrong.
func (s *Scanner) value(data []byte) bool {
	h := &Headers[data[0]]
	claim, payload := int64(h.Count), int64(0)
	if h.Length > 0 {
		if len(data) <= int(h.Length) {
			return false
		}
		n := int64(h.Declared(data))
		if h.Kind == Container {
			claim = n << h.Shift
		} else {
			payload = n
		}
	}
	pos := s.pos
	s.pos += int64(h.Size) + payload
	s.left--
	s.pending--
	switch h.Kind {
	case Container:
		s.elements += claim
		s.pending += claim
		switch {
		case len(s.open) >= s.lim.Depth:
			return s.fail(pos, ErrTooDeep, "limit %d levels", s.lim.Depth)
		case s.elements > int64(s.lim.Elements):
			return s.fail(pos, ErrTooManyElements, "%d elements, limit %d", s.elements, s.lim.Elements)
		}
		if claim > 0 {
			s.open = append(s.open, s.left)
			s.left = int(claim)
		}
	case Invalid:
		return s.fail(pos, ErrMalformed, "0x%02x begins no value", data[0])
	}
	if s.pos+s.pending > int64(s.lim.Bytes) {
		return s.fail(pos, ErrTooLarge, "at least %d bytes, limit %d", s.pos+s.pending, s.lim.Bytes)
	}
	for s.left == 0 && len(s.open) > 0 {
		s.left = s.open[len(s.open)-1]
		s.open = s.open[:len(s.open)-1]
	}
	return true
}

func (s *Scanner) fail(pos int64, kind error, format string, args ...any) bool {
	s.err = &ProtocolError{Offset: int(pos), Detail: fmt.Sprintf(format, args...), Err: kind}
	return false
}
