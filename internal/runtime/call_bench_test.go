package runtime

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/transport"
)

// What a small typed call costs in this process, without what carries it
// between two: both ends of the codec, the sender, the inbox and the handler.

type benchWord struct {
	N int
	S string
}

// benchOwn is the same with methods of its own.
type benchOwn benchWord

func (w *benchOwn) EncodeMsgpack(e *msgpack.Encoder) error {
	if err := e.EncodeArrayLen(2); err != nil {
		return err
	}
	if err := e.EncodeInt(int64(w.N)); err != nil {
		return err
	}
	return e.EncodeString(w.S)
}

func (w *benchOwn) DecodeMsgpack(d *msgpack.Decoder) error {
	if _, err := d.DecodeArrayLen(); err != nil {
		return err
	}
	var err error
	if w.N, err = d.DecodeInt(); err != nil {
		return err
	}
	w.S, err = d.DecodeString()
	return err
}

// benchBlock refers to an array, which the receiver looks at.
type benchBlock struct {
	Data        shm.Array[uint64]
	First, Last uint64
}

type benchActor struct{ sum int }

func (a *benchActor) Look(_ context.Context, b benchBlock) (bool, error) {
	d, err := b.Data.Slice()
	return err == nil && d[0] == b.First && d[len(d)-1] == b.Last, err
}

func (a *benchActor) Word(_ context.Context, w benchWord) (benchWord, error) {
	a.sum += w.N
	return w, nil
}

func (a *benchActor) Own(_ context.Context, w benchOwn) (benchOwn, error) {
	a.sum += w.N
	return w, nil
}

// Take is what a cast is for: it has nothing to say.
func (a *benchActor) Take(_ context.Context, w benchOwn) (actor.None, error) {
	a.sum += w.N
	return actor.None{}, nil
}

var (
	benchActors = actor.Define("bench", func(context.Context, actor.None) (*benchActor, error) { return &benchActor{}, nil })
	benchWords  = actor.DefineMethod(benchActors, "word", (*benchActor).Word)
	_           = actor.DefineMethod(benchActors, "own", (*benchActor).Own)
	_           = actor.DefineMethod(benchActors, "look", (*benchActor).Look)
	benchTakes  = actor.DefineMethod(benchActors, "take", (*benchActor).Take)
)

// nowhere is a transport that takes everything and brings nothing.
type nowhere struct{}

func (nowhere) Send(transport.Message) error        { return nil }
func (nowhere) Receive() (transport.Message, error) { select {} }
func (nowhere) Buffered() int                       { return 0 }
func (nowhere) Close() error                        { return nil }

func benchSystem(b *testing.B) *System {
	s := newSystem("bench", SystemOptions{Logger: slog.New(slog.DiscardHandler)})
	b.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			b.Error(err)
		}
	})
	return s
}

// feed is a transport that brings one message n times, after others, and takes
// everything.
type feed struct {
	nowhere
	first []transport.Message
	m     transport.Message
	n     int
}

func (f *feed) Receive() (transport.Message, error) {
	if len(f.first) > 0 {
		m := f.first[0]
		f.first = f.first[1:]
		return m, nil
	}
	if f.n--; f.n < 0 {
		return transport.Message{}, io.EOF
	}
	return f.m, nil
}

// atOnce handles what arrives at once: no inbox, no other goroutine.
type atOnce struct {
	*receiver
	done chan struct{}
}

func (a *atOnce) Message(m *conn.Incoming) {
	m.From = a.receiver
	inv := a.h.begin(0, m)
	inv.handle(m)
	a.h.end(0, inv)
}

func (a *atOnce) Closed(error) { close(a.done) }

// BenchmarkHandle is the handler's side alone, without the scan: take the
// message apart, begin, decode, handle, encode, end.
func BenchmarkHandle(b *testing.B) {
	system := benchSystem(b)
	h := newHost(system, RoleOf(benchActors.With(actor.None{})).Kind, "/bench", uuid.New(), 16, 1<<16, true)
	h.state = &benchActor{}
	run := func(name, method string, v any, call bool, deadline time.Duration) {
		b.Run(name, func(b *testing.B) {
			buf := &codec.Buffer{B: wire.AppendNotifyHead(nil, method)}
			if call {
				buf.B = wire.AppendRequestHead(nil, 7, method)
			}
			if err := codec.EncodeArgs(buf, v, true); err != nil {
				b.Fatal(err)
			}
			if deadline != 0 {
				meta := wire.Meta{Deadline: sys.MonotonicNow() + int64(deadline)}
				buf.B = wire.AppendMetaTo(buf.B, 0, &meta)
			}
			side := &atOnce{&receiver{h: h, from: "bench"}, make(chan struct{})}
			side.same.Store(true)
			side.conn = conn.New(&feed{m: transport.Message{Body: buf.B}, n: b.N}, side, system.connOptions())
			b.ReportAllocs()
			b.ResetTimer()
			side.conn.Start()
			<-side.done
		})
	}
	run("call", "word", &benchWord{1, "label"}, true, 0)
	run("call-deadline", "word", &benchWord{1, "label"}, true, time.Hour)
	run("call-own", "own", &benchOwn{1, "label"}, true, 0)
	run("cast", "word", &benchWord{1, "label"}, false, 0)
	run("cast-own", "take", &benchOwn{1, "label"}, false, 0)
}

// kept is a transport that keeps what it takes, which may not be used again.
type kept struct {
	nowhere
	taken []transport.Message
}

func (k *kept) Send(m transport.Message) error {
	m.Body = slices.Clone(m.Body)
	for i, f := range m.Files {
		m.Files[i] = again(f)
	}
	k.taken = append(k.taken, m)
	return nil
}

// again opens a file a second time, as if it had come from another process.
func again(f *os.File) *os.File {
	twin, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", f.Fd()))
	if err != nil {
		panic(err)
	}
	return twin
}

// benchArray makes an array, without what the tests turn on to find mistakes.
func benchArray(b *testing.B) benchBlock {
	strict := shm.SetStrict(false)
	b.Cleanup(func() { shm.SetStrict(strict) })
	a, err := shm.New[uint64](1 << 13)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(a.Release)
	d := a.Data()
	d[0], d[len(d)-1] = 3, 4
	return benchBlock{a, 3, 4}
}

// BenchmarkHandleArray is BenchmarkHandle of a call that refers to a frozen
// array which the receiver knows.
func BenchmarkHandleArray(b *testing.B) {
	sys := benchSystem(b)
	h := newHost(sys, RoleOf(benchActors.With(actor.None{})).Kind, "/bench", uuid.New(), 16, 1<<16, true)
	h.state = &benchActor{}
	block := benchArray(b)
	for _, arrays := range []bool{true, false} {
		b.Run(map[bool]string{true: "arrays", false: "maps"}[arrays], func(b *testing.B) {
			var socket kept
			from := conn.New(&socket, nil, sys.connOptions())
			buf := &codec.Buffer{B: wire.AppendRequestHead(nil, 7, "look")}
			if err := codec.EncodeArgs(buf, &block, arrays); err != nil {
				b.Fatal(err)
			}
			defer buf.Reset()
			buf.B = wire.AppendMetaTo(buf.B, 0, &wire.Meta{Segments: conn.SegmentIDs(nil, buf.Segments)})
			if err := from.Send(buf.B, buf.Segments); err != nil {
				b.Fatal(err)
			}
			n := len(socket.taken) - 1
			side := &atOnce{&receiver{h: h, from: "bench"}, make(chan struct{})}
			side.same.Store(true)
			side.conn = conn.New(&feed{first: socket.taken[:n], m: socket.taken[n], n: b.N}, side, sys.connOptions())
			b.ReportAllocs()
			b.ResetTimer()
			side.conn.Start()
			<-side.done
		})
	}
}

var (
	words codec.Codec[benchWord]
	looks codec.Codec[benchBlock]
)

// benchMessage makes a message as a frontend does.
func benchMessage[T any](ctx context.Context, s *sender, method string, codec *codec.Codec[T], v *T, answered bool) (*mailbox.Message, *call, error) {
	buf, id, arrays, err := s.target.Begin(ctx, method, answered)
	if err == nil {
		err = codec.EncodeArgs(buf, v, arrays)
	}
	if err != nil {
		return nil, nil, err
	}
	var call *call
	if answered {
		call = newCall(s, id)
	}
	m, err := s.message(ctx, method, buf, call, uuid.Nil)
	return m, call, err
}

// BenchmarkSendArray is the sender's side of the same, through the connection.
func BenchmarkSendArray(b *testing.B) {
	sys := benchSystem(b)
	s := sys.target("/bench", "bench").get()
	block := benchArray(b)
	for _, arrays := range []bool{true, false} {
		s.arrays.Store(arrays)
		peer := conn.New(nowhere{}, nil, sys.connOptions())
		b.Run(map[bool]string{true: "arrays", false: "maps"}[arrays], func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, call, err := benchMessage(b.Context(), s, "look", &looks, &block, true)
				if err != nil {
					b.Fatal(err)
				}
				if err := peer.Send(m.Body, m.Segments); err != nil {
					b.Fatal(err)
				}
				m.Drop()
				call.over.Store(true)
				call.recycle()
			}
		})
	}
}

// BenchmarkInProcess is all of it, to a goroutine in this process.
func BenchmarkInProcess(b *testing.B) {
	sys := benchSystem(b)
	i := launch(b, sys, "/bench", benchActors.With(actor.None{}))
	<-i.Ready()
	ref, err := benchActors.Lookup(sys, "bench")
	if err != nil {
		b.Fatal(err)
	}
	deadline, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	for name, ctx := range map[string]context.Context{"call": b.Context(), "call-deadline": deadline} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := benchWords.Call(ctx, ref, benchWord{1, "label"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("cast", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := benchWords.Cast(b.Context(), ref, benchWord{1, "label"}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("cast-own", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := benchTakes.Cast(b.Context(), ref, benchOwn{1, "label"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkSend is the sender's side alone, up to the outbox.
func BenchmarkSend(b *testing.B) {
	sys := benchSystem(b)
	s := sys.target("/bench", "bench").get()
	s.arrays.Store(true)
	deadline, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	for name, ctx := range map[string]context.Context{"call": b.Context(), "call-deadline": deadline} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				m, call, err := benchMessage(ctx, s, "word", &words, &benchWord{1, "label"}, true)
				if err != nil {
					b.Fatal(err)
				}
				m.Drop()
				call.over.Store(true)
				call.recycle()
			}
		})
	}
	b.Run("cast", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, _, err := benchMessage(b.Context(), s, "word", &words, &benchWord{1, "label"}, false)
			if err != nil {
				b.Fatal(err)
			}
			m.Drop()
		}
	})
}
