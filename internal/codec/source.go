package codec

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
)

// Source is what a value is decoded from: raw bytes that a [Scanner] has let
// pass, and what came with them. The decoder's Buffered method returns it to
// a type's own DecodeMsgpack method.
//
// It also keeps the decoder where the scanner was. The msgpack library can lose
// its place: asked for a map where an extension is, it takes the extension's
// payload for the map (v5.4.1, Decoder.DecodeMapLen), and the payload is bytes
// that no scanner has judged. ReadByte, by which the library reads the first
// byte of a value, refuses to read one from inside another.
type Source struct {
	B        []byte             // raw MessagePack
	Segments []*segment.Segment // attached to the message; held by the caller while it decodes
	Context  any                // for the DecodeMsgpack methods of the runtime's own types

	pos      int
	value    int  // where the value under pos begins
	single   int  // up to here it may be read byte by byte
	next     int  // where the value ends, and the next one begins
	interned bool // the type that is decoded has interned strings
	guarded  bool // the value is an interned string of one byte, which must not be taken for the header of another
	received []segment.Received
	pooled   bool             // it keeps
	dec      *msgpack.Decoder // one that never failed; nil until it is needed
}

var (
	_ io.Reader      = (*Source)(nil)
	_ io.ByteScanner = (*Source)(nil)
	_ segment.Source = (*Source)(nil)
)

// ErrLostPlace is why a decoder is stopped that reads the inside of a string,
// a number or an extension as a value of its own.
var ErrLostPlace = errors.New("the decoder lost its place in the message")

var sources = sync.Pool{New: func() any { return &Source{pooled: true} }}

// GetSource takes a source from a pool. It comes with a decoder.
func GetSource() *Source { return sources.Get().(*Source) }

// PutSource gives s back. What was received stays with its holder, as with
// Disown. s must not be used any more.
func PutSource(s *Source) {
	s.Disown()
	s.Reset(nil)
	s.Segments, s.Context = nil, nil
	sources.Put(s)
}

// Reset makes s ready to decode raw. What was received before stays listed.
func (s *Source) Reset(raw []byte) {
	s.B = raw
	s.pos, s.value, s.single, s.next = 0, 0, 0, 0
	s.interned, s.guarded = false, false
}

// Len is the number of bytes not read yet.
func (s *Source) Len() int { return len(s.B) - s.pos }

// ReadByte reads the first byte of a value, or a further byte of its header.
func (s *Source) ReadByte() (byte, error) {
	if s.pos >= s.single {
		if err := s.enter(); err != nil {
			return 0, err
		}
	}
	c := s.B[s.pos]
	s.pos++
	return c, nil
}

// UnreadByte takes the last ReadByte back.
func (s *Source) UnreadByte() error {
	if s.pos <= s.value {
		return errors.New("no byte to unread")
	}
	s.pos--
	return nil
}

// Read reads payload. It may go on into values behind.
func (s *Source) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if s.pos >= len(s.B) {
		return 0, io.EOF
	}
	if s.guarded && s.pos >= s.next {
		return 0, s.lost()
	}
	n := copy(p, s.B[s.pos:])
	s.pos += n
	return n, nil
}

// enter goes on to the value that begins at pos.
func (s *Source) enter() error {
	if s.pos >= len(s.B) {
		return io.EOF
	}
	for s.next <= s.pos {
		rest := s.B[s.next:]
		h := &wire.Headers[rest[0]]
		s.value = s.next
		if h.Kind == wire.Invalid || len(rest) < int(h.Size) {
			return wire.Malformed(s.value, "not a whole value")
		}
		n := uint64(h.Count)
		if h.Length > 0 {
			n = uint64(h.Declared(rest)) << h.Shift
		}
		if n > uint64(len(rest)-int(h.Size)) { // also for whom the scan was forgotten
			return wire.Malformed(s.value, "not a whole value")
		}
		if h.Kind == wire.Container {
			n = 0 // what is in it are values of their own
		}
		s.single = s.value + int(h.Single)
		s.next = s.value + int(h.Size) + int(n)
		s.guarded = false
		if s.interned && rest[0] == wire.CodeFixExt1 && rest[1] == internedString {
			s.single = s.next
			s.guarded = rest[2] == wire.CodeMap16 || rest[2] == wire.CodeMap32
		}
	}
	if s.pos >= s.single {
		return s.lost()
	}
	return nil
}

// internedString is the extension type by which the msgpack library refers to
// a string that came before, in fields with the tag option "intern". It reads
// such an index of one byte with ReadByte.
const internedString = 0x80

func (s *Source) lost() error {
	return fmt.Errorf("reading at byte %d, inside the value at byte %d: %w", s.pos, s.value, ErrLostPlace)
}

// Segment implements [segment.Source].
func (s *Source) Segment(index int) (*segment.Segment, error) {
	if index < 0 || index >= len(s.Segments) {
		return nil, fmt.Errorf("%d segments came with the message", len(s.Segments))
	}
	return s.Segments[index], nil
}

// Received implements [segment.Source]: it lists the handle for AutoRelease.
func (s *Source) Received(h segment.Received) { s.received = append(s.received, h) }

// AutoRelease releases every array that was decoded from s and not kept.
func (s *Source) AutoRelease() { s.retract(0) }

// retract is AutoRelease for what was received behind the first n.
func (s *Source) retract(n int) {
	for i, h := range s.received[n:] {
		h.AutoRelease()
		s.received[n+i] = nil
	}
	s.received = s.received[:n]
}

// Disown leaves the received arrays to their holders: AutoRelease will
// not release them.
func (s *Source) Disown() {
	clear(s.received)
	s.received = s.received[:0]
}
