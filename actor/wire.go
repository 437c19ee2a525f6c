package actor

import (
	"errors"
	"io"

	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/mailbox"
)

// errCallerGone is the cause of a handler's ctx when its caller gave up or is gone.
var errCallerGone = errors.New("the caller has given up")

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func newScanner(inline int) *mailbox.Scanner {
	// The envelope around a message of the inline size is small change.
	return &mailbox.Scanner{Limits: mailbox.Limits{Bytes: inline + 64<<10}}
}

func newSource(raw []byte, segments []*segment.Segment, sys *System) *mailbox.Source {
	return &mailbox.Source{B: raw, Segments: segments, Context: sys}
}
