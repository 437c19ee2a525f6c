package conn

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/transport"
)

// told is a transport that keeps the methods of what it takes.
type told struct {
	mu      sync.Mutex
	methods []string
	changed chan struct{}
}

func (l *told) Send(m transport.Message) error {
	env, err := wire.ParseEnvelope(m.Body)
	l.mu.Lock()
	l.methods = append(l.methods, env.Method)
	l.mu.Unlock()
	select {
	case l.changed <- struct{}{}:
	default:
	}
	return err
}

func (l *told) Receive() (transport.Message, error) { return transport.Message{}, transport.ErrClosed }
func (l *told) Buffered() int                       { return 0 }
func (l *told) Close() error                        { return nil }

func (l *told) take() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	got := l.methods
	l.methods = nil
	return got
}

// A segment is announced once, and again when the peer has not got it; who
// sends the same one all the time is no exception.
func TestSegmentsAreAnnouncedOnce(t *testing.T) {
	nothingHeld(t)
	socket := &told{changed: make(chan struct{}, 1)}
	c := New(socket, nil, Options{})
	newSegment := func() *segment.Segment {
		s, err := segment.SegmentOf([]byte("data"))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	a, b := newSegment(), newSegment()
	send := func(want []string, segments ...*segment.Segment) {
		t.Helper()
		if err := c.Send(wire.AppendNotify(nil, "m", nil, nil), segments); err != nil {
			t.Fatal(err)
		}
		if got := socket.take(); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
	first, again := []string{methodFile, methodSegment, "m"}, []string{"m"}
	send(first, a)
	send(again, a)
	send(again, a)
	send(first, a, b)
	send(again, b)
	send(again, a)
	send(again, a)
	if err := c.out.lost(codec.Params(a.ID())); err != nil {
		t.Fatal(err)
	}
	send(first, a)
	send(again, a)
	if err := c.out.lost(codec.Params(b.ID())); err != nil {
		t.Fatal(err)
	}
	send(again, a)
	send(first, b)

	// With the last hold the name ends.
	b.Release()
	for got := socket.take(); !slices.Equal(got, []string{methodForget}); got = socket.take() {
		select {
		case <-socket.changed:
		case <-time.After(time.Minute):
			t.Fatalf("sent %q, want %q", got, methodForget)
		}
	}
	if c.out.last.Load() != nil {
		t.Error("a segment that has ended is remembered")
	}
	send(again, a)
	c.out.close()
	if err := c.Send(wire.AppendNotify(nil, "m", nil, nil), []*segment.Segment{a}); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
	a.Release()
}

// What a message refers to is its own: neither side's memory is the other's.
func TestLocalSegmentsOutliveTheMessage(t *testing.T) {
	nothingHeld(t)
	var got []transport.Message
	c := New(laneFunc(func(m transport.Message) error { got = append(got, m); return nil }), nil, Options{Local: true})
	v, err := shm.New[uint8](10)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	buf := codec.GetBuffer()
	if err := codec.Encode(buf, v, true); err != nil {
		t.Fatal(err)
	}
	segments := buf.TakeSegments(nil)
	s := segments[0]
	codec.PutBuffer(buf)
	if err := c.Send([]byte{0x93, 2, 0xa1, 'm', 0x90}, segments); err != nil {
		t.Fatal(err)
	}
	s.Release()
	local := got[0].Local.(*localSegments)
	if len(local.segments) != 1 || local.segments[0] != s {
		t.Errorf("the message carries %v, want %v", local.segments, s)
	}
	local.Discard()
}

type laneFunc func(transport.Message) error

func (f laneFunc) Send(m transport.Message) error      { return f(m) }
func (f laneFunc) Receive() (transport.Message, error) { select {} }
func (f laneFunc) Buffered() int                       { return 0 }
func (f laneFunc) Close() error                        { return nil }

// nothingHeld fails a test that leaves handles or segments.
func nothingHeld(t testing.TB) {
	t.Helper()
	before := shm.Stats()
	t.Cleanup(func() {
		if s := shm.Stats(); s.Segments != before.Segments || s.Handles != before.Handles {
			t.Errorf("left over: %+v, before: %+v", s, before)
		}
	})
}
