package actor

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/transport"
)

// What a small typed call costs in this process, without what carries it
// between two: both ends of the codec, the client, the inbox and the handler.

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

type benchActor struct{ sum int }

func (a *benchActor) Word(_ context.Context, w benchWord) (benchWord, error) {
	a.sum += w.N
	return w, nil
}

func (a *benchActor) Own(_ context.Context, w benchOwn) (benchOwn, error) {
	a.sum += w.N
	return w, nil
}

// Take is what a cast is for: it has nothing to say.
func (a *benchActor) Take(_ context.Context, w benchOwn) (NoArgs, error) {
	a.sum += w.N
	return NoArgs{}, nil
}

var (
	benchActors = Define("bench", func(context.Context, NoArgs) (*benchActor, error) { return &benchActor{}, nil })
	benchWords  = Handle(benchActors, "word", (*benchActor).Word)
	_           = Handle(benchActors, "own", (*benchActor).Own)
	benchTakes  = Handle(benchActors, "take", (*benchActor).Take)
)

// nowhere is a lane that takes everything and brings nothing.
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

// feed is a lane that brings one message n times, and takes everything.
type feed struct {
	nowhere
	m transport.Message
	n int
}

func (f *feed) Receive() (transport.Message, error) {
	if f.n--; f.n < 0 {
		return transport.Message{}, io.EOF
	}
	return f.m, nil
}

// atOnce handles what arrives at once: no inbox, no other goroutine.
type atOnce struct {
	*inLink
	done chan struct{}
}

func (a *atOnce) Message(m *mailbox.Incoming) {
	m.From = a.inLink
	inv := a.h.begin(0, m)
	inv.handle(m)
	a.h.end(0, inv)
}

func (a *atOnce) Closed(error) { close(a.done) }

// BenchmarkHandle is the handler's side alone, without the scan: take the
// message apart, begin, decode, handle, encode, end.
func BenchmarkHandle(b *testing.B) {
	sys := benchSystem(b)
	h := newHost(sys, benchActors.core, "/bench", uuid.New(), 16, 1<<16, true)
	h.state = &benchActor{}
	run := func(name, method string, v any, call bool, deadline time.Duration) {
		b.Run(name, func(b *testing.B) {
			buf := &mailbox.Buffer{B: mailbox.AppendNotifyHead(nil, method)}
			if call {
				buf.B = mailbox.AppendRequestHead(nil, 7, method)
			}
			if err := mailbox.EncodeArgs(buf, v, true); err != nil {
				b.Fatal(err)
			}
			if deadline != 0 {
				meta := mailbox.Meta{Deadline: process.MonotonicNow() + int64(deadline)}
				buf.B = mailbox.AppendMetaTo(buf.B, 0, &meta)
			}
			side := &atOnce{&inLink{h: h, from: "bench"}, make(chan struct{})}
			side.same.Store(true)
			side.peer = mailbox.NewPeer(&feed{m: transport.Message{Body: buf.B}, n: b.N}, side, sys.peerOptions())
			b.ReportAllocs()
			b.ResetTimer()
			side.peer.Start()
			<-side.done
		})
	}
	run("call", "word", &benchWord{1, "label"}, true, 0)
	run("call-deadline", "word", &benchWord{1, "label"}, true, time.Hour)
	run("call-own", "own", &benchOwn{1, "label"}, true, 0)
	run("cast", "word", &benchWord{1, "label"}, false, 0)
	run("cast-own", "take", &benchOwn{1, "label"}, false, 0)
}

// BenchmarkInProcess is all of it, to a goroutine in this process.
func BenchmarkInProcess(b *testing.B) {
	sys := benchSystem(b)
	i := sys.Launch("/bench", benchActors.Blueprint(NoArgs{}, InProcess()))
	<-i.Ready()
	ref, err := benchActors.Ref(sys, "bench")
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
	c := &client{sys: sys, path: "/bench", kind: "bench"}
	c.arrays.Store(true)
	deadline, cancel := context.WithTimeout(b.Context(), time.Hour)
	defer cancel()
	for name, ctx := range map[string]context.Context{"call": b.Context(), "call-deadline": deadline} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				call := newCall()
				m, err := encode(ctx, c, "word", &benchWords.req, &benchWord{1, "label"}, call, uuid.Nil)
				if err != nil {
					b.Fatal(err)
				}
				m.Recycle()
				call.over.Store(true)
				call.recycle()
			}
		})
	}
	b.Run("cast", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			m, err := encode(b.Context(), c, "word", &benchWords.req, &benchWord{1, "label"}, nil, uuid.Nil)
			if err != nil {
				b.Fatal(err)
			}
			m.Recycle()
		}
	})
}
