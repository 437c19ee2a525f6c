package process

import "bytes"

// splitter cuts a byte stream into lines of at most MaxLine bytes, which end with a newline, a carriage return, or both. Its
// cost is linear, however the bytes arrive.
type splitter struct {
	partial  []byte // the beginning of a line whose end has not come, at most MaxLine
	returned bool   // the last byte was a carriage return: a newline after it ends no further line
}

// feed takes the next bytes and emits each line they end, without its newline. A longer line is emitted in
// pieces of MaxLine, cut is true for all but the last. What is emitted is valid during the call.
func (s *splitter) feed(data []byte, emit func(line []byte, cut bool)) {
	newline := -1 // the next one in data; what lies behind us is not looked at again
	for len(data) > 0 {
		if s.returned && data[0] == '\n' {
			data, newline = data[1:], newline-1
		}
		if s.returned = false; newline < 0 {
			if newline = bytes.IndexByte(data, '\n'); newline < 0 {
				newline = len(data)
			}
		}
		end := bytes.IndexByte(data[:newline], '\r')
		if s.returned = end >= 0; !s.returned {
			end = newline
		}
		if end == len(data) {
			s.take(data, emit)
			return
		}
		line := data[:end]
		data, newline = data[end+1:], newline-end-1
		if len(s.partial) == 0 && len(line) <= MaxLine {
			emit(line, false)
			continue
		}
		s.take(line, emit)
		emit(s.partial, false)
		s.reset()
	}
}

// take appends to the partial line and emits what exceeds a piece. An exactly full piece is kept: only the next
// byte tells whether the line goes on.
func (s *splitter) take(data []byte, emit func(line []byte, cut bool)) {
	for len(s.partial)+len(data) > MaxLine {
		n := MaxLine - len(s.partial)
		s.partial = append(s.partial, data[:n]...)
		data = data[n:]
		emit(s.partial, true)
		s.partial = s.partial[:0]
	}
	s.partial = append(s.partial, data...)
}

// finish emits a last line that has no newline.
func (s *splitter) finish(emit func(line []byte, cut bool)) {
	if len(s.partial) > 0 {
		emit(s.partial, false)
	}
	s.partial = nil
}

// reset forgets the partial line, and its memory if that has become large.
func (s *splitter) reset() {
	if cap(s.partial) > 4<<10 {
		s.partial = nil
		return
	}
	s.partial = s.partial[:0]
}
