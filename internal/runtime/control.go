package runtime

import (
	"fmt"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/wire"
)

// Control methods between two processes of one system: each has its row in
// controls. PROTOCOL.md defines their arguments; those of the connection itself
// are in package conn, in a table like this.
const (
	ctlHello     = "$/hello"
	ctlStart     = "$/start"
	ctlStop      = "$/stop"
	ctlPing      = "$/ping"
	ctlRefused   = "$/refused"
	ctlConnect   = "$/connect"
	ctlEnded     = "$/ended"
	ctlIntroduce = "$/introduce"
	ctlReport    = "$/report"
	ctlWatch     = "$/watch"
	ctlKill      = "$/kill"
	ctlAdmin     = "$/admin"
	ctlAbandon   = "$/abandon"
	ctlEvent     = "$/event"
	ctlLog       = "$/log"
	ctlWant      = "$/want"
	ctlCredit    = "$/credit"
	ctlBegin     = "$/begin"
	ctlCancel    = "$/cancel"
	ctlItem      = codec.MethodItem
	ctlMore      = "$/more"
	ctlProbe     = "$/probe"
	ctlLook      = "$/look"
	ctlQuestion  = "$/question"
)

// direction is which way a control message goes.
type direction int

const (
	down    direction = iota // from the parent to the actor's process
	up                       // from the actor's process to the parent
	upDown                   // both
	along                    // with the messages of a connection, from the sender to the receiver
	against                  // from the receiver to the sender
)

// numbers is the argument list of a message whose arguments are numbers, by
// name.
type numbers []string

// control is what is known of one control method. Its handlers are at the ends
// where it may arrive. One that fails at a receiver is a violation.
type control struct {
	args    any // numbers, or a zero value of the struct that is the one argument
	way     direction
	request bool // it is answered; others are notifications

	child    func(*child, *conn.Incoming)               // an actor's process, from its parent
	receiver func(*receiver, *conn.Incoming) error      // the receiver of a connection
	sender   func(*connection, *sender, *conn.Incoming) // the sender of a connection
	parent   func(*processBackend, *conn.Incoming)      // the parent, from an actor's process
	server   func(*controlServer, *conn.Incoming)       // either
}

// controls are all control methods. (They are set by init, because handlers send
// control messages, too.)
var controls map[string]control

func init() {
	controls = map[string]control{
		// A process and its parent.
		ctlHello:    {args: hello{}, way: along, request: true, child: (*child).hello, receiver: (*receiver).welcome}, // the peer introduces itself
		ctlStart:    {args: startOrder{}, way: down, request: true, child: (*child).start},                            // answered when the actor is ready
		ctlStop:     {args: stopOrder{}, way: down, child: (*child).stopOrdered},
		ctlPing:     {args: numbers{}, way: down, request: true, child: (*child).ping},           // a sign of life
		ctlRefused:  {args: connectOrder{}, way: up, parent: (*processBackend).refused},          // it could not take a direct connection
		ctlConnect:  {args: connectOrder{}, way: down, child: (*child).serveConnection},          // the end of a direct connection
		ctlEnded:    {args: wireExit{}, way: up, parent: (*processBackend).selfReported},         // the actor's own reason for its end
		ctlEvent:    {args: wireEvent{}, way: up, server: (*controlServer).event},                //
		ctlLog:      {args: wireRecord{}, way: up, parent: (*processBackend).logged},             //
		ctlQuestion: {args: questionOrder{}, way: down, request: true, child: (*child).question}, // what does it do, and what is below it

		// Questions about paths.
		ctlIntroduce: {args: introduceOrder{}, way: upDown, request: true, server: (*controlServer).introduce},
		ctlReport:    {args: reportOrder{}, way: upDown, request: true, server: (*controlServer).report},
		ctlWatch:     {args: watchOrder{}, way: upDown, request: true, server: (*controlServer).watch},
		ctlKill:      {args: killOrder{}, way: upDown, request: true, server: (*controlServer).kill},   // answered when it is reaped
		ctlAdmin:     {args: adminOrder{}, way: upDown, request: true, server: (*controlServer).admin}, // a call of a supervisor
		ctlAbandon:   {args: numbers{"id"}, way: upDown, server: (*controlServer).abandon},             // the asker of a request has given up

		// The messages of a connection.
		ctlWant:   {args: numbers{"position"}, way: along, receiver: (*receiver).want},      // tell me when it is begun
		ctlCredit: {args: numbers{"position"}, way: against, sender: (*connection).credit},  // it is begun
		ctlBegin:  {args: numbers{"position"}, way: against, sender: (*connection).begunTo}, // begun, from a peer without a progress page
		ctlCancel: {args: numbers{"id"}, way: along, receiver: (*receiver).cancel},          // the caller has given up
		ctlItem:   {args: numbers{"id", "value"}, way: against, sender: (*connection).item}, // one item of a stream
		ctlMore:   {args: numbers{"id", "n"}, way: along, receiver: (*receiver).more},       // the reader has taken n items
		ctlProbe:  {args: probe{}, way: along, receiver: (*receiver).probe},                 // who waits for whom
		ctlLook:   {args: numbers{}, way: along, receiver: (*receiver).look},                // does what waits in the ring wait for ever?
	}
	for method := range controls {
		wire.Intern(method)
	}
}

// unknownControl is the answer to a control request that no handler takes.
func unknownControl(p *conn.Conn, m *conn.Incoming) {
	if m.Call {
		respondError(p, m.ID, fmt.Errorf("control request %q: %w", m.Method, actor.ErrUnknown))
	}
}

// respondError answers a control request with an error. A peer that goes on asking
// and does not read the answers is cut off.
func respondError(p *conn.Conn, id uint64, err error) {
	_ = p.Respond(id, encodeRemote(err), nil, nil)
	if p.Buffered() > maxControlUnread {
		p.Close()
	}
}

// maxControlUnread is how many bytes may be unread when a control request is
// refused. Replies to calls may be among them, one of full size for each slot.
const maxControlUnread = 64 << 20
