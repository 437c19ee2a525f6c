package wire

// Meta is what travels beside a message between two Understudy processes. On
// the wire it is an array of the fields in this order, without the zero fields
// at its end; a zero field before others is nil. A receiver skips elements
// behind those that it knows, so a later version may add some.
type Meta struct {
	Deadline int64             // CLOCK_MONOTONIC in nanoseconds; 0: none
	Chain    []uint64          // invocations that wait for this call, outermost first
	Segments []uint64          // ids of the attached segments
	Trace    map[string]string // trace context, such as traceparent
	Stream   bool              // the request opens a stream
	Window   int               // items of a stream that its reader has room for
}

// fields is the number of fields up to the last that is not zero.
func (m *Meta) fields() int {
	switch {
	case m.Window != 0:
		return 6
	case m.Stream:
		return 5
	case len(m.Trace) > 0:
		return 4
	case len(m.Segments) > 0:
		return 3
	case len(m.Chain) > 0:
		return 2
	case m.Deadline != 0:
		return 1
	}
	return 0
}

// IsZero tells whether there is nothing to send.
func (m *Meta) IsZero() bool { return m.fields() == 0 }

// Append appends the wire form to b; it never comes out empty. Negative
// deadlines and windows are sent as zero.
func (m *Meta) Append(b []byte) []byte {
	n := m.fields()
	b = append(b, FixArray|byte(n))
	if n > 0 {
		b = appendOptional(b, m.Deadline)
	}
	if n > 1 {
		b = appendUints(b, m.Chain)
	}
	if n > 2 {
		b = appendUints(b, m.Segments)
	}
	if n > 3 {
		b = appendTrace(b, m.Trace)
	}
	if n > 4 {
		c := byte(CodeNil)
		if m.Stream {
			c = CodeTrue
		}
		b = append(b, c)
	}
	if n > 5 {
		b = appendOptional(b, int64(m.Window))
	}
	return b
}

func appendOptional(b []byte, v int64) []byte {
	if v <= 0 {
		return append(b, CodeNil)
	}
	return AppendUint(b, uint64(v))
}

func appendUints(b []byte, list []uint64) []byte {
	if len(list) == 0 {
		return append(b, CodeNil)
	}
	b = AppendArrayHead(b, len(list))
	for _, v := range list {
		b = AppendUint(b, v)
	}
	return b
}

func appendTrace(b []byte, trace map[string]string) []byte {
	if len(trace) == 0 {
		return append(b, CodeNil)
	}
	b = appendMapHead(b, len(trace))
	for k, v := range trace {
		b = AppendString(AppendString(b, k), v)
	}
	return b
}

// ParseMeta reads metadata that a [Scanner] has let pass with its message.
// Empty raw is the zero Meta. The error is a [*ProtocolError]. Nothing in the
// result refers to raw.
func ParseMeta(raw []byte) (Meta, error) {
	var m Meta
	err := m.Parse(raw)
	return m, err
}

// Parse is [ParseMeta] into the memory of m: slices that are large enough are
// used again. After an error m is not to be used.
func (m *Meta) Parse(raw []byte) error {
	*m = Meta{Chain: m.Chain[:0], Segments: m.Segments[:0]}
	if len(raw) == 0 {
		return nil
	}
	r := Reader{Raw: raw}
	n := r.Array("the metadata")
	for i := 0; i < n && r.Err == nil; i++ {
		if i < 6 && r.Pos < len(raw) && raw[r.Pos] == CodeNil {
			r.Pos++
			continue
		}
		switch i {
		case 0:
			m.Deadline = r.int("the deadline")
		case 1:
			m.Chain = r.uints(m.Chain, "the chain")
		case 2:
			m.Segments = r.uints(m.Segments, "the segments")
		case 3:
			m.Trace = r.trace()
		case 4:
			m.Stream = r.bool("the stream flag")
		case 5:
			m.Window = int(min(r.int("the window"), maxWindow))
		default:
			r.Skip("further metadata")
		}
	}
	return r.end()
}

// maxWindow fits into an int everywhere; more room than that is no more use.
const maxWindow = 1<<31 - 1

// int takes a number from 0 on.
func (r *Reader) int(what string) int64 {
	at := r.Pos
	v := r.Uint(what)
	if int64(v) < 0 {
		r.Pos = at
		r.Fail(what)
		return 0
	}
	return int64(v)
}

// uints takes a list of numbers. They can all be there, see head, so that the
// memory for them is in proportion.
func (r *Reader) uints(into []uint64, what string) []uint64 {
	n := r.Array(what)
	if n > cap(into) {
		into = make([]uint64, 0, n)
	}
	for ; n > 0 && r.Err == nil; n-- {
		into = append(into, r.Uint(what))
	}
	return into
}

func (r *Reader) trace() map[string]string {
	n := r.pairs("the trace context")
	trace := make(map[string]string, n)
	for ; n > 0 && r.Err == nil; n-- {
		k := r.Str("a trace key")
		trace[string(k)] = string(r.Str("a trace value"))
	}
	return trace
}
