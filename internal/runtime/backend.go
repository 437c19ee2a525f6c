package runtime

import (
	"os"
	"time"

	"github.com/understudy-go/understudy/internal/conn"
)

// backend is what an incarnation exists as: a process of this program, a process
// of another one, a goroutine of this process. The actor of an actor's own
// process has one, too. (A kind's backend, the Go type with its methods, is another
// thing: a host runs that.)
type backend interface {
	// run is the whole life. It calls succeeded or failed of the incarnation when
	// the outcome of the start is known, and finished at the end.
	run()
	// askStop begins an orderly end; whether it keeps to the time is not its
	// concern.
	askStop(timeout time.Duration)
	// kill ends it by force.
	kill(why force)
	// accuse notes what it did against the protocol. The end of its connection
	// follows.
	accuse(err error)

	// connect returns a connection for a sender of this process.
	connect(c *sender) (*connection, error)
	// connectFor returns the sender's end of a connection for another process.
	connectFor(from string) (*os.File, error)

	// remote reports whether paths below it are another process's concern; peer
	// is who can be asked about them, or nil.
	remote() bool
	childConn() *conn.Conn

	pid() int
	// selfEnded reports whether the actor has said that it ends.
	selfEnded() bool
	// tail returns the last lines that it printed.
	tail() (stdout, stderr []string)
}

func newBackend(i *Instance, bp EncodedRole) backend {
	switch {
	case bp.settings.InProcess:
		return newGoroutineBackend(i, bp)
	case bp.kind.External != nil:
		return newForeignBackend(i, bp)
	}
	return newProcessBackend(i, bp)
}

func startTimeout(s Settings) time.Duration {
	if s.StartTimeout != 0 {
		return s.StartTimeout
	}
	return DefaultStartTimeout
}

func stopTimeout(s Settings) time.Duration {
	if s.StopTimeout != nil {
		return *s.StopTimeout
	}
	return DefaultStopTimeout
}
