package transport

import (
	"errors"
)

// ErrInterrupted is what Receive returns after [Sleeper.Wake]. Unlike
// every other error it is not final.
var ErrInterrupted = errors.New("receiving was interrupted")

// Pollable is a connection whose receiving can change hands: still one goroutine
// at a time, but not always the same. The socket is one.
type Pollable interface {
	Conn

	// interrupt ends the Receive in progress, or else the next one, with
	// ErrInterrupted. Several may end the same one.
	interrupt()

	// TryReceive is Receive without waiting: ok says whether a whole
	// message had been read already.
	TryReceive() (m Message, ok bool, err error)
}
