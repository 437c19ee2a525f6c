package runtime

import (
	"github.com/understudy-go/understudy/actor"
)

// The arguments and results of control messages. Each struct lists its fields
// once. hello and startOrder are the first messages of a process, and so do
// without reflection: see fields.go.

const protocolVersion = 1

// hello is what each side says of itself.
type hello struct {
	Min      int // protocol versions it speaks
	Max      int
	Build    string
	System   string
	PID      int
	Clock    int64 // CLOCK_MONOTONIC, ns
	Caps     []string
	Progress uint64 // token of the progress page, from a receiver that can

	// What the connection's sender may have waiting, from a receiver; 0: the default.
	Capacity int // messages
	Bytes    int
}

func (h *hello) fields(v visitor) {
	v.Int("min", &h.Min)
	v.Int("max", &h.Max)
	v.String("build", &h.Build)
	v.String("system", &h.System)
	v.Int("pid", &h.PID)
	v.Int64("clock", &h.Clock)
	v.Strings("caps", &h.Caps)
	v.Uint("progress", &h.Progress)
	v.Int("capacity", &h.Capacity)
	v.Int("bytes", &h.Bytes)
}

const (
	capProgress = "progress"
	capBegin    = "begin"   // no page: it sends "$/begin"
	capFiles    = "files"   // it takes descriptors, segments and large messages
	capStream   = "streams" // it answers a request with items
	capConnect  = "connect" // it takes connections of other processes
	capRings    = "rings"
	capPings    = "pings" // a busy handler does not keep it from answering "$/ping"
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
	Transport   int
	Spin        int64 // ns
	LogLevel    int
	Series      string   // of its events: see actor.Event
	Program     string   // for titles
	From        string   // path of the parent's actor
	Strict      bool     // shm.Strict
	Segments    []uint64 // announced before, named by the arguments
}

func (o *startOrder) fields(v visitor) {
	v.String("kind", &o.Kind)
	v.String("path", &o.Path)
	v.String("incarnation", &o.Incarnation)
	v.Int("number", &o.Number)
	v.Raw("args", &o.Args)
	v.Int("capacity", &o.Capacity)
	v.Int("bytes", &o.Bytes)
	v.Int("max_message", &o.MaxMessage)
	v.Int("inline", &o.Inline)
	v.Int64("memory", &o.Memory)
	v.Int64("stop_timeout", &o.StopTimeout)
	v.Int("transport", &o.Transport)
	v.Int64("spin", &o.Spin)
	v.Int("log_level", &o.LogLevel)
	v.String("series", &o.Series)
	v.String("program", &o.Program)
	v.String("from", &o.From)
	v.Bool("strict", &o.Strict)
	v.Uints("segments", &o.Segments)
}

type stopOrder struct {
	Timeout int64 `msgpack:"timeout"`         // ns; negative: as long as it takes
	Drain   bool  `msgpack:"drain,omitempty"` // serve the queue first
}

type connectOrder struct {
	Token uint64 `msgpack:"token"`
	From  string `msgpack:"from"`
}

type introduceOrder struct {
	Path string `msgpack:"path"`
	Kind string `msgpack:"kind"`
	From string `msgpack:"from"`

	Leaving bool `msgpack:"leaving,omitempty"` // the asker's process is about to end
	Stopped bool `msgpack:"stopped,omitempty"` // and was asked to
}

type introduction struct {
	Token       uint64 `msgpack:"token"`
	Incarnation string `msgpack:"incarnation"`
	PID         int    `msgpack:"pid"`
}

type reportOrder struct {
	Path        string `msgpack:"path"`
	Incarnation string `msgpack:"incarnation"`
}

type killOrder struct {
	Path        string `msgpack:"path"`
	Incarnation string `msgpack:"incarnation"` // "": the present one
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

// wireExit is an exit status, whose error needs a form of its own.
type wireExit struct {
	actor.ExitStatus
	Error *wireError `msgpack:"err,omitempty"`
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
	Series      string     `msgpack:"series,omitempty"`
}
