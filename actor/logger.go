package actor

import (
	"context"
	"log/slog"
)

// Logger returns the logger of the actor that ctx belongs to: what a
// constructor, a handler, a stream, Run or Stop logs with. Its records come out
// of the system's logger with the actor's "path" and the "pid"
// of its process first, and are the same whether the actor is a process or a
// goroutine: groups stay groups; numbers, booleans, strings, durations and times
// keep their kinds, and any other value is its text, as fmt prints it. Only a
// goroutine's records carry the line of source that made them, and hand ctx to
// the system's logger. A process asks for the system's level when it starts, and
// when it logs faster than its parent reads, it is not slowed but loses records,
// and says how many.
//
// In an actor's process it is that actor's logger whatever ctx is, and slog's
// default logger is the same one until the actor sets another. A goroutine
// shares the default logger with the whole program: what an in-process actor
// logs with slog.Info, or slog.InfoContext, does not come this way and bears
// neither path nor pid. Outside of actors, Logger returns slog.Default.
func Logger(ctx context.Context) *slog.Logger {
	if a := actorOf(ctx); a != nil {
		return a.Logger()
	}
	return slog.Default()
}
