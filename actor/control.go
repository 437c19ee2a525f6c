package actor

import (
	"github.com/vmihailenco/msgpack/v5"

	"github.com/understudy-go/understudy/mailbox"
)

func init() {
	mailbox.Intern(ctlHello, ctlStart, ctlStop, ctlPing, ctlLink, ctlEnded, ctlIntroduce, ctlObituary, ctlWatch, ctlPrevent,
		ctlEvent, ctlLog, ctlWant, ctlCredit, ctlBegin, ctlCancel, ctlItem, ctlMore, ctlProbe)
}

// Control methods between two processes of one system. PROTOCOL.md defines
// their arguments; those of the connection itself are in package mailbox.
const (
	ctlHello     = "$/hello"     // request: hello; the peer introduces itself
	ctlStart     = "$/start"     // request: startOrder; answered when the actor is ready
	ctlStop      = "$/stop"      // stopOrder
	ctlPing      = "$/ping"      // request: a sign of life
	ctlLink      = "$/link"      // linkOrder: the end of a direct link
	ctlEnded     = "$/ended"     // wireExit: the actor's own word on why it ends
	ctlIntroduce = "$/introduce" // request: introduceOrder
	ctlObituary  = "$/obituary"  // request: obituaryOrder
	ctlWatch     = "$/watch"     // request: watchOrder
	ctlPrevent   = "$/abandon"   // [id]: the asker of a control request has given up
	ctlEvent     = "$/event"     // wireEvent
	ctlLog       = "$/log"       // wireRecord
	ctlWant      = "$/want"      // [position]: tell me when it is begun
	ctlCredit    = "$/credit"    // [position]: it is begun
	ctlBegin     = "$/begin"     // [position]: begun, from a peer without a mark page
	ctlCancel    = "$/cancel"    // [id]: the caller has given up
	ctlItem      = "$/item"      // itemFrame: one item of a stream
	ctlMore      = "$/more"      // [id, n]: the reader has taken n items
	ctlProbe     = "$/probe"     // probe: who waits for whom
)

const protocolVersion = 1

// hello is what each side says of itself.
type hello struct {
	Min    int      `msgpack:"min"` // protocol versions it speaks
	Max    int      `msgpack:"max"`
	Build  string   `msgpack:"build"`
	System string   `msgpack:"system"`
	PID    int      `msgpack:"pid"`
	Clock  int64    `msgpack:"clock"` // CLOCK_MONOTONIC, ns
	Caps   []string `msgpack:"caps"`
	Marks  uint64   `msgpack:"marks,omitempty"` // token of the mark page, from a receiver that can

	// What the link's sender may have waiting, from a receiver; 0: the default.
	Capacity int `msgpack:"capacity,omitempty"` // messages
	Bytes    int `msgpack:"bytes,omitempty"`
}

const (
	capMarks  = "marks"
	capBegin  = "begin" // no page: it sends "$/begin"
	capFiles  = "files"
	capStream = "streams"
)

type startOrder struct {
	Kind        string             `msgpack:"kind"`
	Path        string             `msgpack:"path"`
	Incarnation string             `msgpack:"incarnation"`
	Number      int                `msgpack:"number"`
	Args        msgpack.RawMessage `msgpack:"args"` // the argument list
	Capacity    int                `msgpack:"capacity"`
	Bytes       int                `msgpack:"bytes"`
	MaxMessage  int                `msgpack:"max_message"`
	Inline      int                `msgpack:"inline"`
	Memory      int64              `msgpack:"memory,omitempty"` // limit in bytes: arrays count too
	StopTimeout int64              `msgpack:"stop_timeout"`     // ns, negative: none; for an end of its own
	LogLevel    int                `msgpack:"log_level"`
	Program     string             `msgpack:"program"`            // for titles
	From        string             `msgpack:"from"`               // path of the parent's actor
	Strict      bool               `msgpack:"strict,omitempty"`   // shm.Strict
	Segments    []uint64           `msgpack:"segments,omitempty"` // announced before, named by the arguments
}

type stopOrder struct {
	Timeout int64 `msgpack:"timeout"`         // ns; negative: as long as it takes
	Drain   bool  `msgpack:"drain,omitempty"` // serve the queue first
}

type linkOrder struct {
	Token uint64 `msgpack:"token"`
	From  string `msgpack:"from"`
}

type introduceOrder struct {
	Path string `msgpack:"path"`
	Kind string `msgpack:"kind"`
	From string `msgpack:"from"`
}

type introduction struct {
	Token       uint64 `msgpack:"token"`
	Incarnation string `msgpack:"incarnation"`
	PID         int    `msgpack:"pid"`
}

type obituaryOrder struct {
	Path        string `msgpack:"path"`
	Incarnation string `msgpack:"incarnation"`
}

type watchOrder struct {
	Path   string `msgpack:"path"`
	Cursor int    `msgpack:"cursor"` // number of exits seen; negative: only tell me where to begin
}

type watchAnswer struct {
	Cursor int        `msgpack:"cursor"`
	Downs  []wireDown `msgpack:"downs"`
	Final  bool       `msgpack:"final"` // nothing more will come
}

type wireDown struct {
	Path        string   `msgpack:"path"`
	PID         int      `msgpack:"pid"`
	Incarnation string   `msgpack:"incarnation"`
	Exit        wireExit `msgpack:"exit"`
}

type wireExit struct {
	Reason       int        `msgpack:"reason"`
	Code         int        `msgpack:"code,omitempty"`
	Signal       int        `msgpack:"signal,omitempty"`
	Err          *wireError `msgpack:"err,omitempty"`
	Stderr       []string   `msgpack:"stderr,omitempty"`
	DoNotRestart bool       `msgpack:"do_not_restart,omitempty"`
}

type wireEvent struct {
	Time        int64      `msgpack:"time"`
	Type        string     `msgpack:"type"`
	Path        string     `msgpack:"path"`
	Kind        string     `msgpack:"kind,omitempty"`
	PID         int        `msgpack:"pid,omitempty"`
	Incarnation string     `msgpack:"incarnation,omitempty"`
	Exit        *wireExit  `msgpack:"exit,omitempty"`
	Err         *wireError `msgpack:"err,omitempty"`
	Method      string     `msgpack:"method,omitempty"`
	Sender      string     `msgpack:"sender,omitempty"`
	Detail      string     `msgpack:"detail,omitempty"`
}
