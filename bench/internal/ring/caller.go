package ring

import (
	"errors"
	"io"
)

// ErrGone says that the serving side has ended.
var ErrGone = errors.New("ring: the other side is gone")

// Caller is the side that measures: see [Serve].
type Caller struct {
	out, in *Ring
	control io.Writer
	buf     []byte
}

// NewCaller makes a caller of the memory that [Memory] returned. control is this
// side's end of the stream, gone as for [New].
func NewCaller(mem []byte, control io.Writer, gone func() bool) *Caller {
	return &Caller{out: New(mem[:Size], gone), in: New(mem[Size:], gone), control: control, buf: make([]byte, MaxMessage)}
}

// WakeTrips has the other side spin and answer, and waits until it does.
func (c *Caller) WakeTrips() error { return c.wake(trips) }

// WakeStream has the other side spin and read, and waits until it does.
func (c *Caller) WakeStream() error { return c.wake(stream) }

func (c *Caller) wake(mode byte) error {
	if _, err := c.control.Write([]byte{mode}); err != nil {
		return err
	}
	if _, ok := c.in.Pop(c.buf); !ok {
		return ErrGone
	}
	return nil
}

// Exchange sends a message and waits for the reply, which is valid until the
// next one.
func (c *Caller) Exchange(msg []byte) (reply []byte, err error) {
	if !c.out.Push(msg) {
		return nil, ErrGone
	}
	reply, ok := c.in.Pop(c.buf)
	if !ok {
		return nil, ErrGone
	}
	return reply, nil
}

// Send sends a message of a stream.
func (c *Caller) Send(msg []byte) error {
	if !c.out.Push(msg) {
		return ErrGone
	}
	return nil
}

// Rest has the other side sleep again, after it has handled everything.
func (c *Caller) Rest() error {
	_, err := c.Exchange(nil)
	return err
}
