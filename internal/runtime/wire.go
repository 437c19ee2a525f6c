package runtime

import (
	"errors"
	"io"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/segment"
	"github.com/understudy-go/understudy/internal/wire"
)

// errCallerGone is the cause of a handler's ctx when its caller gave up or is gone.
var errCallerGone = errors.New("the caller has given up")

func isEOF(err error) bool { return errors.Is(err, io.EOF) }

func newScanner(inline int) *wire.Scanner {
	return &wire.Scanner{Limits: wire.Limits{Bytes: inline}.Message()}
}

func newSource(raw []byte, segments []*segment.Segment, sys *System) *codec.Source {
	return &codec.Source{B: raw, Segments: segments, Context: sys}
}
