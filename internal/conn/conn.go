package conn

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
	"github.com/understudy-go/understudy/transport"
)

// Errors of the connection between two processes.
var (
	ErrOverflow = fmt.Errorf("more than the granted capacity: %w", wire.ErrProtocol)
	ErrLost     = errors.New("attachment lost on the way (the receiver is out of descriptors)")
)

// Handler takes what arrives. Its methods run on the goroutine that reads the
// connection, one at a time: they must not block and must not run user code.
type Handler interface {
	Message(m *Incoming)      // a user's request or notification
	Control(m *Incoming)      // one whose method begins with "$/"; dropped afterwards
	Reply(id uint32, r Reply) // an answer to a message sent with Send
	Closed(err error)         // the last call: the connection ended, io.EOF when the peer closed it
}

// Options are the limits of a connection.
type Options struct {
	Inline int  // largest message in bytes that travels in the stream; larger ones travel as a segment. 0: 4 MiB
	Max    int  // largest message at all, in bytes. 0: 256 MiB
	Local  bool // the transport is in memory: segments travel by reference
}

// Conn is one connection to another process: requests, notifications and
// answers in both directions, and the segments that travel with them. All
// methods may be called from any goroutine; none of them blocks.
type Conn struct {
	t       transport.Conn
	handler Handler
	opts    Options

	mu      sync.Mutex
	nextID  uint32
	pending map[uint32]func(Reply)
	err     error // why it ended

	files  fileTable
	out    outSegments
	in     inSegments
	reader reader
	poller atomic.Pointer[Poller] // whose source it is; written with its lock and ours

	gate     sync.RWMutex             // sending by socket alone; locked where rings begin
	ringOut  atomic.Pointer[RingPair] // our numbers have begun
	RingIn   atomic.Pointer[RingPair] // the peer's have
	proposed *RingPair                // both may; of the reading goroutine
	standing func(error)              // waits for that, if it is we who asked for the upgrade; likewise
}

// controlBit is set in the ids of control requests; user ids stay below.
const controlBit = 1 << 31

// New returns the connection over t; Start begins to read.
func New(t transport.Conn, handler Handler, opts Options) *Conn {
	if opts.Inline == 0 {
		opts.Inline = wire.DefaultInline
	}
	if opts.Max == 0 {
		opts.Max = wire.DefaultMaxMessage
	}
	c := &Conn{t: t, handler: handler, opts: opts, pending: make(map[uint32]func(Reply))}
	c.files.init()
	c.out.init(c)
	c.in.init()
	c.reader.init(t)
	return c
}

// SetLimits changes Inline and Max. It is called by the handler, before there
// are user messages.
func (c *Conn) SetLimits(inline, max int) { c.opts.Inline, c.opts.Max = inline, max }

// Start reads the connection in a goroutine of its own until it ends.
func (c *Conn) Start() { go c.read() }

// Request sends a control request; done is called once, on the reader's
// goroutine or, if the connection is down already, at once.
func (c *Conn) Request(method string, params []byte, done func(Reply)) uint32 {
	c.mu.Lock()
	if c.err != nil {
		err := c.err
		c.mu.Unlock()
		done(Reply{Fault: err})
		return 0
	}
	c.nextID++
	id := c.nextID | controlBit
	c.pending[id] = done
	c.mu.Unlock()
	c.reader.resume()
	if err := c.sendBy(wire.AppendRequest(nil, uint64(id), method, params, nil), nil, false); err != nil {
		if f := c.take(id); f != nil {
			f(Reply{Fault: err})
		}
	}
	return id
}

// Abandon forgets a control request; its answer will be ignored. It reports
// whether the request was still open.
func (c *Conn) Abandon(id uint32) bool { return c.take(id) != nil }

func (c *Conn) take(id uint32) func(Reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.pending[id]
	delete(c.pending, id)
	return f
}

// Notify sends a control notification. What answers it, if anything does, is read
// by the connection's own goroutine.
func (c *Conn) Notify(method string, params []byte) error {
	c.reader.resume()
	return c.notify(method, params)
}

// notify is Notify for what nothing answers.
func (c *Conn) notify(method string, params []byte) error {
	return c.transmit(transport.Message{Body: wire.AppendNotify(nil, method, params, nil)}, false)
}

// Send sends an encoded user message with its segments. The segments stay the
// caller's.
func (c *Conn) Send(body []byte, segments []*segment.Segment) error {
	return c.sendBy(body, segments, true)
}

// sendBy is Send for messages that may be control, which goes by the socket.
func (c *Conn) sendBy(body []byte, segments []*segment.Segment, byRing bool) error {
	if len(segments) == 0 && len(body) <= c.opts.Inline {
		return c.transmit(transport.Message{Body: body}, byRing)
	}
	return c.out.send(body, segments, byRing)
}

// Respond answers request id with an error or a result, raw.
func (c *Conn) Respond(id uint64, errRaw, result []byte, segments []*segment.Segment) error {
	var meta []byte
	if len(segments) > 0 {
		m := wire.Meta{Segments: SegmentIDs(nil, segments)}
		meta = m.Append(nil)
	}
	return c.sendBy(wire.AppendResponse(nil, id, errRaw, result, meta), segments, id&controlBit == 0)
}

// SegmentIDs appends the ids by which a message's metadata names its segments.
func SegmentIDs(ids []uint64, segments []*segment.Segment) []uint64 {
	for _, s := range segments {
		ids = append(ids, s.ID())
	}
	return ids
}

// Buffered is the number of bytes that the peer has not taken yet.
func (c *Conn) Buffered() int { return c.t.Buffered() }

// Close ends the connection. Handler.Closed follows.
func (c *Conn) Close() {
	c.t.Close()
	c.reader.resume()
}

func (c *Conn) read() {
	var err error
	for err == nil {
		var m transport.Message
		if m, err = c.t.Receive(); err == nil {
			waited := c.waited()
			err = c.deliver(m, nil)
			c.delivered(waited)
		} else if errors.Is(err, transport.ErrInterrupted) {
			err = nil // it was meant for a leader
		}
		if err == nil && c.reader.aside.Load() {
			err = c.reader.away()
		}
	}
	c.t.Close()
	c.reader.end()
	err = c.endRings(err)
	c.mu.Lock()
	c.err = err
	pending := c.pending
	c.pending = nil
	c.mu.Unlock()
	for _, done := range pending {
		done(Reply{Fault: err})
	}
	if g := c.poller.Load(); g != nil {
		g.RemoveSource(c)
	}
	c.handler.Closed(err)
	c.files.close()
	c.out.close()
	c.in.close()
}

// receive takes one whole message of the stream. mem is where it lies if that
// will be used again: then it is not copied. by is the leader who delivers it;
// nil: the reading goroutine does.
func (c *Conn) receive(m transport.Message, mem *memory, by *Waiter) error {
	local, _ := m.Local.(*localSegments)
	env, err := wire.ParseEnvelope(m.Body)
	if err != nil {
		mem.free()
		return errors.Join(err, c.files.discard(m.Files))
	}
	if env.Type == wire.Notify && env.Method == methodFile {
		defer mem.free()
		return c.files.put(env.Params, m.Files, m.FilesLost)
	}
	if err := c.files.discard(m.Files); err != nil {
		return err
	}
	if env.Type == wire.Response {
		return c.response(env, local, mem, nil)
	}
	return c.incoming(env, local, mem, nil, by)
}

func (c *Conn) response(env wire.Envelope, local *localSegments, mem *memory, blob func()) error {
	r := Reply{Err: env.Err, Result: env.Result, blob: blob, mem: mem}
	if mem == nil && blob == nil {
		r.Err, r.Result = clone(env.Err), clone(env.Result)
	}
	if wire.IsNil(env.Err) {
		r.Err = nil
	}
	if len(env.Meta) > 0 || local != nil {
		var ids [4]uint64
		meta := wire.Meta{Segments: ids[:0]}
		if err := meta.Parse(env.Meta); err != nil {
			r.Drop()
			return err
		}
		r.Segments, r.Fault = c.in.resolve(nil, meta.Segments, local)
	}
	id := uint32(env.ID)
	if uint64(id) != env.ID {
		r.Drop()
		return fmt.Errorf("response to request %d, which was not sent: %w", env.ID, wire.ErrProtocol)
	}
	if id&controlBit == 0 {
		c.handler.Reply(id, r)
	} else if done := c.take(id); done != nil {
		done(r)
	} else {
		r.Drop() // late: the asker has given up
	}
	return nil
}

func (c *Conn) incoming(env wire.Envelope, local *localSegments, mem *memory, blob func(), by *Waiter) error {
	m := incomings.Get().(*Incoming)
	m.ID, m.Call, m.Method, m.Params = env.ID, env.Type == wire.Request, env.Method, env.Params
	m.body, m.blob, m.mem, m.By = len(env.Params)+len(env.Meta)+len(env.Method), blob, mem, by
	if mem == nil && blob == nil {
		m.Params = clone(env.Params)
	}
	if len(env.Meta) > 0 || local != nil {
		var err error
		if err = m.Meta.Parse(env.Meta); err != nil {
			m.Drop()
			return err
		}
		m.Segments, m.Err = c.in.resolve(m.few[:0], m.Meta.Segments, local)
	}
	if len(m.Method) < 2 || m.Method[:2] != "$/" {
		c.handler.Message(m)
		return nil
	}
	defer m.Drop()
	if known := controls[m.Method]; known.serve != nil {
		return known.serve(c, m)
	}
	c.reader.worth.Store(0) // control is not for a single waiter, and items of a stream come in numbers
	c.handler.Control(m)
	return nil
}

// blob takes a message that came as a segment: the same checks, then the same
// way as any other.
func (c *Conn) blob(m *Incoming) error {
	if m.Err != nil || len(m.Segments) != 1 {
		return fmt.Errorf("large message without its segment (%v): %w", m.Err, wire.ErrProtocol)
	}
	var size uint64
	if err := codec.DecodeParams(m.Params, &size); err != nil {
		return err
	}
	body, release, err := m.Segments[0].Open()
	if err != nil {
		return fmt.Errorf("mapping a large message: %w: %w", err, wire.ErrProtocol)
	}
	env, err := c.openBlob(body, size, m.Segments[0].Mode())
	if err != nil {
		release()
		return err
	}
	if env.Type == wire.Response {
		return c.response(env, nil, nil, release)
	}
	return c.incoming(env, nil, nil, release, nil)
}

func (c *Conn) openBlob(body []byte, size uint64, mode segment.Mode) (wire.Envelope, error) {
	if mode != segment.Frozen || size > uint64(len(body)) || size > uint64(c.opts.Max)+wire.EnvelopeBytes {
		return wire.Envelope{}, fmt.Errorf("large message of %d bytes in a %v segment of %d, limit %d: %w", size, mode, len(body), c.opts.Max, wire.ErrProtocol)
	}
	body = body[:size]
	sc := wire.Scanner{Limits: wire.Limits{Bytes: c.opts.Max}.Message()}
	n, err := sc.Frame(body)
	if err == nil && uint64(n) != size {
		err = fmt.Errorf("large message is cut or glued: %w", wire.ErrProtocol)
	}
	if err != nil {
		return wire.Envelope{}, err
	}
	env, err := wire.ParseEnvelope(body)
	if err == nil && (env.Method == methodBlob || env.Method == methodFile) {
		err = fmt.Errorf("%q in a large message: %w", env.Method, wire.ErrProtocol)
	}
	return env, err
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

// SendFile sends a descriptor ahead of the message that refers to it by the
// returned token. The file stays the caller's.
func (c *Conn) SendFile(f *os.File) (token uint64, err error) {
	return c.sendFile(func(m transport.Message) error { return c.transmit(m, false) }, f)
}

func (c *Conn) sendFile(send func(transport.Message) error, f *os.File) (token uint64, err error) {
	token = c.files.next()
	err = send(transport.Message{
		Body:  wire.AppendNotify(nil, methodFile, codec.Params(token), nil),
		Files: []*os.File{f},
	})
	return token, err
}

// TakeFile gives the descriptor that the peer sent under token.
func (c *Conn) TakeFile(token uint64) (*os.File, error) { return c.files.take(token) }
