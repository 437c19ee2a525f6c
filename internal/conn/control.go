package conn

import (
	"iter"
	"maps"

	"github.com/understudy-go/understudy/internal/wire"
)

// Control methods that a connection serves itself, whichever side sends them:
// each has its row in controls. Those of a system are in package runtime.
const (
	methodFile    = "$/file"
	methodSegment = "$/segment"
	methodForget  = "$/forget"
	methodLost    = "$/lost"
	methodBlob    = "$/blob"
	methodRing    = "$/ring"
	methodRinged  = "$/ringed"
	methodWake    = "$/wake"
)

// Control is what is known of one control method.
type Control struct {
	Args    []string // the argument list, by name
	Request bool     // it is answered; others are notifications

	serve func(*Conn, *Incoming) error // an error ends the connection; nil: receive serves it
}

// controls are the control methods of a connection. (They are set by init, because
// what serves them sends them, too.)
var controls map[string]Control

func init() {
	controls = map[string]Control{
		// Descriptors and segments.
		methodFile:    {Args: []string{"token"}},                                               // with one descriptor: a later message refers to it
		methodSegment: {Args: []string{"id", "size", "mode", "token"}, serve: (*Conn).segment}, // announces a segment
		methodForget:  {Args: []string{"id"}, serve: (*Conn).forget},                           // the sender will not refer to the segment again
		methodLost:    {Args: []string{"id"}, serve: (*Conn).lost},                             // the announced segment's descriptor did not arrive
		methodBlob:    {Args: []string{"size"}, serve: (*Conn).blob},                           // with one segment: a message that is too large for the stream

		// Rings.
		methodRing:   {Args: []string{"memory"}, Request: true, serve: (*Conn).serveUpgrade}, // a descriptor's token; the answer is the same of the other side
		methodRinged: {serve: (*Conn).ringed},                                                // from here on the sender numbers its messages, from 1
		methodWake:   {serve: (*Conn).woken},                                                 // look into the ring
	}
	for method := range controls {
		wire.Intern(method)
	}
}

// Controls yields the control methods that a connection serves itself.
func Controls() iter.Seq2[string, Control] { return maps.All(controls) }

func (c *Conn) segment(m *Incoming) error { return c.in.announce(m.Params, c) }
func (c *Conn) forget(m *Incoming) error  { return c.in.forget(m.Params) }
func (c *Conn) lost(m *Incoming) error    { return c.out.lost(m.Params) }
func (c *Conn) ringed(*Incoming) error    { return c.numbersBegin() }
func (c *Conn) woken(*Incoming) error     { return nil } // what is in the ring was delivered before
