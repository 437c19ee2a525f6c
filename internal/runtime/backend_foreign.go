package runtime

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/orphans"
	"github.com/understudy-go/understudy/internal/process"
)

// foreignBackend is an incarnation in a process of another program. It may speak
// the protocol, or plain MessagePack-RPC alone: then it has one connection, which
// only the process that supervises it can use, and understands no control
// messages.
type foreignBackend struct {
	*processBackend
	plain atomic.Bool
}

func newForeignBackend(i *Instance, bp EncodedRole) *foreignBackend {
	b := &foreignBackend{processBackend: newProcessBackend(i, bp)}
	b.program = b
	return b
}

// command executes what the kind's command function says.
func (b *foreignBackend) command() (process.Command, error) {
	i, none := b.i, process.Command{}
	args := b.role.args
	c, err := b.role.kind.External(newSource(args.bytes, args.segments, i.sys))
	if err != nil {
		return none, err
	}
	if c == nil {
		return none, errors.New("the kind's command function returned nil")
	}
	cmd, err := process.FromExec(c)
	if err != nil {
		return none, err
	}
	if cmd.Dir == "" {
		cmd.Dir = i.settings.Process.Dir
	}
	env := environment()
	if cmd.Env != nil {
		env = cmd.Env
	}
	own := []string{orphans.SystemTag(i.sys.id), "UNDERSTUDY_FD=3"}
	cmd.Env = append(append(own, lastWins(i.settings.Process.Env)...), env...)
	if n := i.settings.Process.CPUs; n > 0 {
		for _, name := range threadCounts { // last: of two equal names the first counts
			cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", name, n))
		}
	}
	return cmd, nil
}

// threadCounts are the variables by which native libraries are told how many
// threads to make. They count the machine's processors otherwise, not those that
// the process may use.
var threadCounts = []string{"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
	"NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS", "RAYON_NUM_THREADS"}

// greet says hello. Who answers it with an error is spoken to in plain mode, and
// has started by being there.
func (b *foreignBackend) greet(ctx context.Context, begin func()) (started bool, err error) {
	c := newConnection()
	c.conn = b.conn
	err = b.i.sys.sayHello(ctx, c)
	if isRemote(err) {
		b.plain.Store(true)
		c.dialect, c.unpaced = plain{c}, true
		b.stand(c)
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("hello: %w", err)
	}
	c.same = false
	b.stand(c)
	begin()
	return true, nil
}

func (b *foreignBackend) childConn() *conn.Conn {
	if b.plain.Load() {
		return nil
	}
	return b.processBackend.childConn()
}

func (b *foreignBackend) connectFor(from string) (*os.File, error) {
	if b.plain.Load() {
		return nil, fmt.Errorf("%s speaks plain MessagePack-RPC and has one connection: only the process that supervises it can call it: %w", b.i.path, errors.ErrUnsupported)
	}
	b.mu.Lock()
	c := b.connection
	b.mu.Unlock()
	if c != nil && (!c.connects || c.unpaced) {
		return nil, fmt.Errorf("%s does not say that it has the capabilities %q and %q or %q: only the process that supervises it can call it: %w",
			b.i.path, capConnect, capProgress, capBegin, errors.ErrUnsupported)
	}
	return b.processBackend.connectFor(from)
}

// askStop in plain mode is the end of the connection, and SIGTERM: what every
// program understands.
func (b *foreignBackend) askStop(timeout time.Duration) {
	if !b.plain.Load() {
		b.processBackend.askStop(timeout)
		return
	}
	b.asks().Close()
	_ = b.proc.Signal(syscall.SIGTERM)
}

func (b *foreignBackend) deaf() bool { return false }

// written lets a peer without credits get more: what was written to it is gone.
func (b *foreignBackend) written() {
	b.mu.Lock()
	s, c := b.sender, b.connection
	b.mu.Unlock()
	if s != nil && c != nil && c.unpaced {
		go s.drained(c)
	}
}

// encodeError is words alone in plain mode.
func (b *foreignBackend) encodeError(err error) []byte {
	if b.plain.Load() {
		return codec.EncodeControl(err.Error())
	}
	return b.processBackend.encodeError(err)
}
