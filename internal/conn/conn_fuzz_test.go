//go:build linux

package conn

import (
	"errors"
	"io"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/memfd"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/shm"
	"github.com/understudy-go/understudy/transport"
)

// streamTransport is the receiving end of a connection whose peer sends data and
// goes. Descriptors come with the messages that announce some.
type streamTransport struct {
	data    []byte
	scanner wire.Scanner
	file    func() *os.File
	closed  bool
	bad     error // a message of ours that our own scanner refuses
	sent    int
}

func (l *streamTransport) Receive() (transport.Message, error) {
	if l.closed {
		return transport.Message{}, transport.ErrClosed
	}
	if len(l.data) == 0 {
		return transport.Message{}, io.EOF
	}
	n, err := l.scanner.Frame(l.data)
	if err != nil || n == 0 {
		return transport.Message{}, errors.Join(err, io.ErrUnexpectedEOF)
	}
	m := transport.Message{Body: append([]byte(nil), l.data[:n]...)}
	l.data = l.data[n:]
	if FileCount(m.Body) > 0 && l.file != nil {
		if f := l.file(); f != nil {
			m.Files = []*os.File{f}
		} else {
			m.FilesLost = true
		}
	}
	return m, nil
}

func (l *streamTransport) Send(m transport.Message) error {
	l.sent += len(m.Body)
	var s wire.Scanner
	n, err := s.Frame(m.Body)
	if err == nil && n == len(m.Body) {
		_, err = wire.ParseEnvelope(m.Body)
	}
	l.bad = errors.Join(l.bad, err)
	return nil
}

func (l *streamTransport) Buffered() int { return 0 }
func (l *streamTransport) Close() error  { l.closed = true; return nil }

// fuzzHandler takes everything and keeps nothing.
type fuzzHandler struct {
	p      *Conn
	closed int
}

func (h *fuzzHandler) Message(m *Incoming) {
	for _, s := range m.Segments {
		if _, release, err := s.Open(); err == nil {
			release()
		}
	}
	if m.Call {
		_ = h.p.Respond(m.ID, nil, m.Params, m.Segments)
	}
	m.Drop()
}

func (h *fuzzHandler) Control(m *Incoming) {
	var token, n uint64
	if codec.DecodeParams(m.Params, &token, &n) == nil {
		if f, err := h.p.TakeFile(token); err == nil {
			f.Close()
		}
		if segs, err := h.p.Announced([]uint64{token, n}); err == nil {
			for _, s := range segs {
				s.Release()
			}
		}
	}
	var any map[string]any
	_ = codec.DecodeControl(m.Params, &any)
}

func (h *fuzzHandler) Reply(_ uint32, r Reply) { r.Drop() }
func (h *fuzzHandler) Closed(error)            { h.closed++ }

func FuzzPeer(f *testing.F) {
	cat := func(parts ...[]byte) (all []byte) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	file := func(token uint64) []byte { return wire.AppendNotify(nil, methodFile, codec.Params(token), nil) }
	segment := func(v ...uint64) []byte { return wire.AppendNotify(nil, methodSegment, codec.Params(v...), nil) }
	with := (&wire.Meta{Segments: []uint64{7}}).Append(nil)
	for _, seed := range [][]byte{
		wire.AppendRequest(nil, 1, "add", codec.Params(1), nil),
		wire.AppendResponse(nil, 1<<31|1, nil, codec.Params(5), nil),
		wire.AppendResponse(nil, 1, nil, codec.Params(5), with),
		cat(file(1), segment(7, 4096, 1, 1), wire.AppendRequest(nil, 2, "sum", codec.Params(0), with), wire.AppendNotify(nil, methodForget, codec.Params(7), nil)),
		cat(file(1), segment(7, 4096, 2, 1), segment(7, 4096, 2, 1)),
		cat(file(1), segment(7, 4096, 257, 1)),
		cat(file(1), file(1)),
		cat(file(1), segment(7, 4096, 1, 1), wire.AppendNotify(nil, methodBlob, codec.Params(20), with)),
		cat(file(1), wire.AppendNotify(nil, "$/connect", codec.Params(1, 0), nil)),
		wire.AppendNotify(nil, methodLost, codec.Params(7), nil),
		{0xdd, 0xff, 0xff, 0xff, 0xff},
	} {
		f.Add(seed, byte(0))
		f.Add(seed, byte(1))
		f.Add(seed, byte(2))
	}
	f.Fuzz(func(t *testing.T, data []byte, which byte) {
		before, files := shm.Stats(), openFiles(t)
		var start, end runtime.MemStats
		runtime.ReadMemStats(&start)
		socket := &streamTransport{data: data, scanner: wire.Scanner{Limits: wire.Limits{Bytes: 1 << 20}}, file: func() *os.File { return fuzzFile(which) }}
		h := &fuzzHandler{}
		c := New(socket, h, Options{Max: 1 << 20})
		h.p = c
		asked := 0
		c.Request("$/ping", codec.Params(), func(r Reply) { asked++; r.Drop() })
		c.read()
		runtime.ReadMemStats(&end)
		if h.closed != 1 || asked != 1 {
			t.Errorf("closed %d times, the request was answered %d times", h.closed, asked)
		}
		if socket.bad != nil {
			t.Errorf("sent what no peer would take: %v", socket.bad)
		}
		if grown := end.TotalAlloc - start.TotalAlloc; grown > uint64(4<<20+1000*len(data)) {
			t.Errorf("%d bytes took %d bytes of memory", len(data), grown)
		}
		if after := shm.Stats(); after.Segments != before.Segments || after.Mapped != before.Mapped {
			t.Errorf("segments left: %+v, before: %+v", after, before)
		}
		if n := openFiles(t); n != files {
			t.Errorf("%d descriptors, before: %d", n, files)
		}
	})
}

// fuzzFile is what a peer may send: what it should, what it should not, nothing.
func fuzzFile(which byte) *os.File {
	switch which % 3 {
	case 0:
		f, _ := memfd.Create("fuzz", 4096, unix.F_SEAL_SHRINK, unix.F_SEAL_GROW, unix.F_SEAL_WRITE)
		return f
	case 1:
		f, _ := os.Open(os.DevNull)
		return f
	}
	return nil
}

func openFiles(t *testing.T) int {
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(dir)
}
