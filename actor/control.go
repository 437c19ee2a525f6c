package actor

import (
	"github.com/understudy-go/understudy/internal/wire"
)

func init() {
	wire.Intern(ctlHello, ctlStart, ctlStop, ctlPing, ctlLink, ctlEnded, ctlIntroduce, ctlObituary, ctlWatch, ctlPrevent,
		ctlEvent, ctlLog, ctlWant, ctlCredit, ctlBegin, ctlCancel, ctlItem, ctlMore, ctlProbe, ctlLook)
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
	ctlLook      = "$/look"      // []: look whether what waits in the ring waits for ever
)

const protocolVersion = 1

// hello is what each side says of itself.
type hello struct {
	Min    int // protocol versions it speaks
	Max    int
	Build  string
	System string
	PID    int
	Clock  int64 // CLOCK_MONOTONIC, ns
	Caps   []string
	Marks  uint64 // token of the mark page, from a receiver that can

	// What the link's sender may have waiting, from a receiver; 0: the default.
	Capacity int // messages
	Bytes    int
}

func (h hello) fields() *wire.Fields {
	var f wire.Fields
	f.Int("min", int64(h.Min))
	f.Int("max", int64(h.Max))
	f.String("build", h.Build)
	f.String("system", h.System)
	f.Int("pid", int64(h.PID))
	f.Int("clock", h.Clock)
	f.Strings("caps", h.Caps)
	f.Uint("marks", h.Marks)
	f.Int("capacity", int64(h.Capacity))
	f.Int("bytes", int64(h.Bytes))
	return &f
}

func (h *hello) take(key string, f *wire.Field) {
	switch key {
	case "min":
		h.Min = int(f.Int())
	case "max":
		h.Max = int(f.Int())
	case "build":
		h.Build = f.String()
	case "system":
		h.System = f.String()
	case "pid":
		h.PID = int(f.Int())
	case "clock":
		h.Clock = f.Int()
	case "caps":
		h.Caps = f.Strings()
	case "marks":
		h.Marks = f.Uint()
	case "capacity":
		h.Capacity = int(f.Int())
	case "bytes":
		h.Bytes = int(f.Int())
	}
}

const (
	capMarks  = "marks"
	capBegin  = "begin" // no page: it sends "$/begin"
	capFiles  = "files"
	capStream = "streams"
	capRings  = "rings"
)

// startOrder is all that a process needs to become an actor.
type startOrder struct {
	Kind        string
	Path        string
	Incarnation string
	Number      int
	Args        []byte // the argument list, encoded
	Capacity    int
	Bytes       int
	MaxMessage  int
	Inline      int
	Memory      int64 // limit in bytes: arrays count too
	StopTimeout int64 // ns, negative: none; for an end of its own
	Lane        int
	Spin        int64 // ns
	LogLevel    int
	Program     string   // for titles
	From        string   // path of the parent's actor
	Strict      bool     // shm.Strict
	Segments    []uint64 // announced before, named by the arguments
}

func (o startOrder) fields() *wire.Fields {
	var f wire.Fields
	f.String("kind", o.Kind)
	f.String("path", o.Path)
	f.String("incarnation", o.Incarnation)
	f.Int("number", int64(o.Number))
	f.Raw("args", o.Args)
	f.Int("capacity", int64(o.Capacity))
	f.Int("bytes", int64(o.Bytes))
	f.Int("max_message", int64(o.MaxMessage))
	f.Int("inline", int64(o.Inline))
	f.Int("memory", o.Memory)
	f.Int("stop_timeout", o.StopTimeout)
	f.Int("lane", int64(o.Lane))
	f.Int("spin", o.Spin)
	f.Int("log_level", int64(o.LogLevel))
	f.String("program", o.Program)
	f.String("from", o.From)
	f.Bool("strict", o.Strict)
	f.Uints("segments", o.Segments)
	return &f
}

func (o *startOrder) take(key string, f *wire.Field) {
	switch key {
	case "kind":
		o.Kind = f.String()
	case "path":
		o.Path = f.String()
	case "incarnation":
		o.Incarnation = f.String()
	case "number":
		o.Number = int(f.Int())
	case "args":
		o.Args = append([]byte(nil), f.Raw()...) // the message is dropped before the actor starts
	case "capacity":
		o.Capacity = int(f.Int())
	case "bytes":
		o.Bytes = int(f.Int())
	case "max_message":
		o.MaxMessage = int(f.Int())
	case "inline":
		o.Inline = int(f.Int())
	case "memory":
		o.Memory = f.Int()
	case "stop_timeout":
		o.StopTimeout = f.Int()
	case "lane":
		o.Lane = int(f.Int())
	case "spin":
		o.Spin = f.Int()
	case "log_level":
		o.LogLevel = int(f.Int())
	case "program":
		o.Program = f.String()
	case "from":
		o.From = f.String()
	case "strict":
		o.Strict = f.Bool()
	case "segments":
		o.Segments = f.Uints()
	}
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
	Stdout       []string   `msgpack:"stdout,omitempty"`
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
