package runtime

import (
	"errors"
	"fmt"
	"slices"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/mailbox"
)

// partial is the protocol with a receiver that lacks some of it. Pace is what
// there is of credit: all of it, or that of plain mode from a receiver that does
// not tell what it has begun. What the receiver has no words for is refused here,
// so that no caller waits for what never comes.
type partial struct {
	dialect // the pace
	c       *connection
	files   bool // it takes descriptors: arrays, and messages too large for the stream
	streams bool
}

func (d partial) metadata() bool { return true }

func (d partial) body(s *sender, m *mailbox.Message) ([]byte, error) {
	call := s.calls[m.ID]
	switch {
	case len(m.Segments) > 0 && !d.files:
		return nil, lacks(s, capFiles, "cannot take arrays", errors.ErrUnsupported)
	case m.Call && call != nil && call.items != nil && !d.streams:
		return nil, lacks(s, capStream, "has no streams", errors.ErrUnsupported)
	case len(m.Body) > s.sys.opts.Inline && !d.files:
		return nil, lacks(s, capFiles, fmt.Sprintf("cannot take a message of %d bytes, %d is the most", len(m.Body), s.sys.opts.Inline), actor.ErrTooLarge)
	}
	return m.Body, nil
}

func (d partial) tell(method string, params []byte) { full{d.c}.tell(method, params) }

func lacks(s *sender, capability, what string, err error) error {
	return fmt.Errorf("%s does not say that it has the capability %q, and %s: %w", s.target.path, capability, what, err)
}

// limitTo makes the connection one to a receiver with these capabilities.
func (c *connection) limitTo(caps []string, paged bool) {
	has := func(name string) bool { return slices.Contains(caps, name) }
	d := partial{dialect: full{c}, c: c, files: has(capFiles), streams: has(capStream)}
	if c.unpaced = !paged && !has(capBegin); c.unpaced {
		d.dialect = plain{c}
	}
	if c.unpaced || !d.files || !d.streams {
		c.dialect = d
	}
}
