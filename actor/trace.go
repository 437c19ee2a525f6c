package actor

import (
	"context"
	"maps"

	"github.com/understudy-go/understudy/internal/port"
)

// WithTrace returns a context whose calls and streams carry the trace context:
// a few short entries, such as W3C's traceparent and tracestate. Handlers find
// it with [Trace], and calls that they make carry it on.
func WithTrace(ctx context.Context, trace map[string]string) context.Context {
	return context.WithValue(ctx, port.TraceKey{}, maps.Clone(trace))
}

// Trace returns the trace context of ctx: the caller's, in a handler. It must
// not be changed.
func Trace(ctx context.Context) map[string]string {
	t, _ := ctx.Value(port.TraceKey{}).(map[string]string)
	return t
}
