package e2e_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
)

// rawRing is one end of a pair of rings in the hands of somebody who writes
// what he likes. All that it knows of them is what PROTOCOL.md says.
type rawRing struct {
	*raw         // the socket beside it
	ours, theirs []byte
	mem          int // our file
	tail, head   uint64
	sleeps       uint64
	number       uint64 // of the last record that we wrote
	greedy       bool   // never gives the writer its room back
	quiet        bool   // does not wake the reader
}

const (
	ringSize   = 128 << 10
	ringStart  = 4096
	ringMemory = ringStart + ringSize
	tailWord   = 0
	headWord   = 64
	parkedWord = 128
)

// newRing makes our half, for r.
func newRing(r *raw) (*rawRing, error) {
	g := &rawRing{raw: r}
	var err error
	if g.mem, err = memfd(ringMemory, sealSize); err != nil {
		return nil, err
	}
	if g.ours, err = unix.Mmap(g.mem, 0, ringMemory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err != nil {
		return nil, err
	}
	_, err = unix.FcntlInt(uintptr(g.mem), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
	return g, err
}

// end lets go of all but the socket.
func (g *rawRing) end() {
	_ = unix.Close(g.mem)
	for _, m := range [][]byte{g.ours, g.theirs} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
}

// give sends our half's file and returns the token.
func (g *rawRing) give() ([]byte, error) {
	g.lastID++
	params := codec.Params(g.lastID)
	return params, g.send(wire.AppendNotify(nil, "$/file", params, nil), g.mem)
}

// take maps the peer's half, whose file came last.
func (g *rawRing) take() error {
	n := len(g.files)
	if n < 1 {
		return errors.New("no descriptor came")
	}
	mem := g.files[n-1]
	g.files = g.files[:n-1]
	defer unix.Close(mem)
	if m, err := unix.Mmap(mem, 0, ringMemory, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
		_ = unix.Munmap(m)
		return errors.New("the peer's half can be written to")
	}
	var err error
	g.theirs, err = unix.Mmap(mem, 0, ringMemory, unix.PROT_READ, unix.MAP_SHARED)
	return err
}

// offerRings has the peer take rings.
func (r *raw) offerRings() (*rawRing, error) {
	g, err := newRing(r)
	if err != nil {
		return nil, err
	}
	params, err := g.give()
	if err != nil {
		return g, err
	}
	e, err := r.call("$/ring", params, nil)
	if err != nil || e.Err != nil {
		return g, fmt.Errorf("offer of rings: %s, %w", text(e.Err), err)
	}
	if err := errors.Join(g.take(), r.notify("$/ringed", list())); err != nil {
		return g, err
	}
	_, err = r.await("$/ringed")
	return g, err
}

// acceptRings waits for the peer's offer, and takes it.
func (r *raw) acceptRings() (*rawRing, error) {
	e, err := r.await("$/ring")
	if err != nil {
		return nil, err
	}
	g, err := newRing(r)
	if err != nil {
		return nil, err
	}
	if err := g.take(); err != nil {
		return g, err
	}
	params, err := g.give()
	if err == nil {
		err = r.send(wire.AppendResponse(nil, e.ID, nil, params, nil))
	}
	if err == nil {
		_, err = r.await("$/ringed")
	}
	if err == nil {
		err = r.notify("$/ringed", list())
	}
	return g, err
}

func (g *rawRing) word(m []byte, at int) *uint64 { return (*uint64)(unsafe.Pointer(&m[at])) }

// claim publishes a tail and wakes the reader, as often as it likes.
func (g *rawRing) claim(tail uint64) error {
	g.tail = tail
	atomic.StoreUint64(g.word(g.ours, tailWord), tail)
	switch p := atomic.LoadUint64(g.word(g.theirs, parkedWord)); {
	case p == 0 || g.quiet:
	case p&1 != 0:
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(&g.ours[tailWord])), 1, 1, 0, 0, 0) // FUTEX_WAKE
	default:
		g.number++
		return g.notify("$/wake", list())
	}
	return nil
}

// record writes a record with a header of its own, and publishes size bytes.
func (g *rawRing) record(length, number uint64, body []byte, size int) error {
	var head [16]byte
	binary.NativeEndian.PutUint64(head[:], length)
	binary.NativeEndian.PutUint64(head[8:], number)
	for i, c := range append(head[:], body...) {
		g.ours[ringStart+(g.tail+uint64(i))%ringSize] = c
	}
	return g.claim(g.tail + uint64(size+15)&^15)
}

// put sends a message by ring.
func (g *rawRing) put(body []byte) error {
	g.number++
	return g.record(uint64(len(body)), g.number, body, 16+len(body))
}

// next waits for the next message, whichever way it comes.
func (g *rawRing) next() (wire.Envelope, error) {
	for deadline := time.Now().Add(rawPatience); time.Now().Before(deadline); {
		if atomic.LoadUint64(g.word(g.theirs, tailWord)) != g.head {
			at := func(off uint64) int { return ringStart + int((g.head+off)%ringSize) }
			n := binary.NativeEndian.Uint64(g.theirs[at(0):])
			body := make([]byte, n)
			for i := range body {
				body[i] = g.theirs[at(16+uint64(i))]
			}
			g.head += 16 + (n+15)&^15
			if !g.greedy {
				atomic.StoreUint64(g.word(g.ours, headWord), g.head)
			}
			return wire.ParseEnvelope(body)
		}
		g.sleeps++
		atomic.StoreUint64(g.word(g.ours, parkedWord), g.sleeps<<1)
		if atomic.LoadUint64(g.word(g.theirs, tailWord)) != g.head {
			continue
		}
		p := []unix.PollFd{{Fd: int32(g.fd), Events: unix.POLLIN}} // for $/wake, or another message
		readable := len(g.buf) > 0                                 // it came with an earlier message
		if !readable {
			if _, err := unix.Poll(p, int(time.Until(deadline).Milliseconds())); err != nil && !errors.Is(err, unix.EINTR) {
				return wire.Envelope{}, err
			}
			readable = p[0].Revents != 0
		}
		if readable && atomic.LoadUint64(g.word(g.theirs, tailWord)) == g.head {
			if e, err := g.receive(); err != nil || e.Method != "$/wake" {
				return e, err
			}
		}
	}
	return wire.Envelope{}, errors.New("nothing comes")
}

// ask is a call by ring.
func (g *rawRing) ask(method string, params []byte) (wire.Envelope, error) {
	g.lastID++
	id := g.lastID & (1<<31 - 1)
	if err := g.put(wire.AppendRequest(nil, id, method, params, nil)); err != nil {
		return wire.Envelope{}, err
	}
	return g.reply(id)
}

func (g *rawRing) reply(id uint64) (wire.Envelope, error) {
	for {
		e, err := g.next()
		if err != nil || e.Type == wire.Response && e.ID == id {
			return e, err
		}
	}
}

// nothing is a message that means nothing to either side.
var nothing = wire.AppendNotify(nil, "$/nothing", list(), nil)

// scribbles are what one can do to one's ring. The other end ends the
// connection for it.
var scribbles = map[string]func(*rawRing) error{
	"a tail beyond the ring": func(g *rawRing) error { return g.claim(1 << 40) },
	"a tail of odd bytes":    func(g *rawRing) error { return g.claim(g.tail + 8) },
	"a tail that goes back":  func(g *rawRing) error { return errors.Join(g.put(nothing), g.put(nothing), g.settled(), g.claim(16)) },
	"a huge record":          func(g *rawRing) error { return g.record(1<<40, g.number+1, nil, 16) },
	"a negative record":      func(g *rawRing) error { return g.record(1<<63+8, g.number+1, nil, 16) },
	"a record over the tail": func(g *rawRing) error { return g.record(100, g.number+1, nil, 16) },
	"an empty record":        func(g *rawRing) error { return g.put(nil) },
	"garbage":                func(g *rawRing) error { return g.put([]byte{0xc1}) },
	"half a message":         func(g *rawRing) error { return g.put(nothing[:len(nothing)-1]) },
	"two messages":           func(g *rawRing) error { return g.put(cat(nothing, nothing)) },
	"a bomb":                 func(g *rawRing) error { return g.put([]byte{0x93, 2, 0xa1, 'x', 0xdd, 0xff, 0xff, 0xff, 0xff}) },
	"number 0":               func(g *rawRing) error { return g.record(uint64(len(nothing)), 0, nothing, 16+len(nothing)) },
	"a number twice": func(g *rawRing) error {
		before := g.number
		err := g.put(nothing)
		g.number = before
		return errors.Join(err, g.put(nothing))
	},
	"a second offer": func(g *rawRing) error {
		params, err := g.give()
		if err != nil {
			return err
		}
		g.lastID++
		return g.send(wire.AppendRequest(nil, g.lastID, "$/ring", params, nil))
	},
	"beginning twice": func(g *rawRing) error { return g.notify("$/ringed", list()) },
}

// settled waits until the peer has taken what we wrote.
func (g *rawRing) settled() error {
	for deadline := time.Now().Add(rawPatience); atomic.LoadUint64(g.word(g.theirs, headWord)) != g.tail; {
		if time.Now().After(deadline) {
			return errors.New("the peer does not read its ring")
		}
		p := []unix.PollFd{{Fd: int32(g.fd), Events: unix.POLLRDHUP}}
		if n, _ := unix.Poll(p, 1); n > 0 {
			return io.EOF
		}
	}
	return nil
}
