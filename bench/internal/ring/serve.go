package ring

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"
)

// A ring's reader burns a CPU, and other rows need it. So the serving side
// sleeps in a read of a control connection between the readings; a byte there
// says what comes, an empty message in the ring answers it, and another one ends
// it.
const (
	trips  = 't' // each message is changed and sent back
	stream = 's' // messages are only read; the empty one is answered
)

// Handler is what the serving side does with a message.
type Handler interface {
	Change(msg []byte) (reply []byte, err error)
	Read(msg []byte) error // of a stream: there is no reply
}

// Serve plays the other side of a [Caller] until that is gone. memory is the
// file of [Memory], control this side's end of a stream.
func Serve(memory *os.File, control io.Reader, h Handler) error {
	mem, err := Map(memory)
	if err != nil {
		return err
	}
	memory.Close()
	var ended atomic.Bool // who spins must not read
	modes, failed := make(chan byte), make(chan error, 1)
	go func() {
		defer close(modes)
		var mode [1]byte
		for {
			if _, err := control.Read(mode[:]); err != nil {
				ended.Store(true)
				failed <- err
				return
			}
			modes <- mode[0]
		}
	}()
	in, out := New(mem[:Size], ended.Load), New(mem[Size:], ended.Load)
	for mode := range modes {
		if err := serve(in, out, h, mode); err != nil {
			return err
		}
	}
	if err := <-failed; !errors.Is(err, io.EOF) {
		return err
	}
	return nil
}

// serve spins until the empty message, or until the caller is gone.
func serve(in, out *Ring, h Handler, mode byte) error {
	// Linux puts whoever is woken by a write on the writer's CPU, because it
	// expects the writer to sleep next. This one spins: a timer wakes to a CPU
	// that is free, if there is one.
	time.Sleep(time.Millisecond)
	out.Push(nil)
	buf := make([]byte, MaxMessage)
	for {
		msg, ok := in.Pop(buf)
		if !ok {
			return nil
		}
		if len(msg) == 0 {
			out.Push(nil)
			return nil
		}
		if mode == stream {
			if err := h.Read(msg); err != nil {
				return err
			}
			continue
		}
		reply, err := h.Change(msg)
		if err != nil {
			return err
		}
		out.Push(reply)
	}
}
