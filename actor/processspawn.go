package actor

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/orphans"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/transport"
)

// spawn makes the process and the connection.
func (b *processBody) spawn(bp Blueprint) error {
	i := b.i
	if err := process.Supported(); err != nil {
		return err
	}
	if bp.kind.external == nil && !mainCalled.Load() {
		return ErrNoMain
	}
	groups, err := i.sys.guard.start(i.sys)
	if err != nil {
		return err
	}
	cmd, err := b.command(bp)
	if err != nil {
		return err
	}
	cmd.Cgroups, cmd.Group = groups, i.incarnation.String()
	ours, theirs, err := process.SocketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	cmd.Files = []*os.File{theirs}
	ctx, cancel := context.WithTimeout(i.sys.ctx, startTimeout(i.settings))
	defer cancel()
	proc, err := process.Start(ctx, cmd)
	if err != nil {
		ours.Close()
		return err
	}
	lane, err := transport.NewSocket(ours, newScanner(i.sys.opts.Inline), transport.WithFileCount(conn.FileCount),
		transport.WithDrained(b.lessBuffered))
	if err != nil {
		_ = proc.Kill()
		<-proc.Done()
		return err
	}
	b.mu.Lock()
	b.proc = proc
	b.conn = conn.New(lane, (*processHandler)(b), i.sys.peerOptions())
	b.server = newControlServer(i.sys, b.conn)
	b.requests = newRequestQueue(b)
	b.mu.Unlock()
	b.conn.Start()
	return nil
}

func startTimeout(s Settings) time.Duration {
	if s.StartTimeout != 0 {
		return s.StartTimeout
	}
	return DefaultStartTimeout
}

// command says what to execute: this program again, or another.
func (b *processBody) command(bp Blueprint) (process.Command, error) {
	i := b.i
	cmd := process.Command{Title: i.title(), Limits: process.Limits(i.settings.Limits), Output: b.output, Dir: i.settings.Dir}
	env := environment()
	if bp.kind.external != nil {
		c := bp.kind.external(bp.args)
		if c == nil {
			return cmd, errors.New("the kind's command function returned nil")
		}
		x, err := process.FromExec(c)
		if err != nil {
			return cmd, err
		}
		x.Limits, x.Output = cmd.Limits, cmd.Output
		if x.Dir == "" {
			x.Dir = cmd.Dir
		}
		if x.Env != nil {
			env = x.Env
		}
		cmd = x
		cmd.Env = append(append([]string{orphans.SystemTag(i.sys.id), "UNDERSTUDY_FD=3"}, lastWins(i.settings.Env)...), env...)
		return cmd, nil
	}
	cmd.Env = append(append([]string{orphans.SystemTag(i.sys.id), envActor + "=" + i.sys.id, sys.EnvBuild + "=" + sys.BuildID()}, lastWins(i.settings.Env)...), process.WithQuickExit(env)...)
	return cmd, nil
}

// lastWins drops the entries that a later one of the same name replaces: an
// actor's own come after the defaults. (In an environment the first one counts.)
func lastWins(env []string) []string {
	var kept []string
	seen := make(map[string]bool)
	for _, e := range slices.Backward(env) {
		if name, _, _ := strings.Cut(e, "="); !seen[name] {
			seen[name] = true
			kept = append(kept, e)
		}
	}
	return kept
}

func environment() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, "UNDERSTUDY_") {
			env = append(env, e)
		}
	}
	return env
}
