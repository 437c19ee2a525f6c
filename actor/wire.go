package actor

import (
	"errors"
	"io"

	"github.com/understudy-go/understudy/mailbox"
	"github.com/understudy-go/understudy/shm"
)

// errCallerGone is the cause of a handler's ctx when its caller gave up or is gone.
var errCallerGone = errors.New("the caller has given up")

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func newScanner(inline int) *mailbox.Scanner {
	return &mailbox.Scanner{Limits: mailbox.Limits{Bytes: inline}.Message()}
}

func newSource(raw []byte, segments []*shm.Segment, sys *System) *mailbox.Source {
	return &mailbox.Source{B: raw, Segments: segments, Context: sys}
}
