package runtime

import (
	"os"
	"slices"
	"strings"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/conn"
	"github.com/understudy-go/understudy/internal/orphans"
	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/sys"
	"github.com/understudy-go/understudy/transport"
)

// spawn makes the process and the connection.
func (b *processBackend) spawn() error {
	i := b.i
	if err := process.Supported(); err != nil {
		return err
	}
	groups, err := i.sys.cleanup.start(i.sys)
	if err != nil {
		return err
	}
	cmd, err := b.program.command()
	if err != nil {
		return err
	}
	given := i.settings.Process
	cmd.Limits, cmd.Output = process.Limits{Memory: given.Memory, Files: given.Files, CPUs: given.CPUs, Nice: given.Nice}, b.output
	cmd.Race = b.raced
	cmd.Cgroups, cmd.Group = groups, i.incarnation.String()
	ours, theirs, err := process.SocketPair()
	if err != nil {
		return err
	}
	defer theirs.Close()
	cmd.Files = []*os.File{theirs}
	proc, err := process.Start(b.starting, cmd)
	if err != nil {
		ours.Close()
		return err
	}
	socket, err := transport.NewSocket(ours, newScanner(i.sys.opts.Inline).Frame, transport.SocketOptions{Files: conn.FileCount, Drained: b.program.written})
	if err != nil {
		_ = proc.Kill()
		<-proc.Done()
		return err
	}
	b.mu.Lock()
	b.proc = proc
	b.conn = conn.New(socket, (*processHandler)(b), i.sys.connOptions())
	b.server = newControlServer(i.sys, b.conn, i.path)
	b.requests = newRequestQueue(b)
	b.mu.Unlock()
	b.conn.Start()
	return nil
}

// command executes this program again.
func (b *processBackend) command() (process.Command, error) {
	if !canBeOwnChild(b.i.kind.Name) {
		return process.Command{}, actor.ErrNoMain
	}
	if err := b.i.kind.Late(); err != nil {
		return process.Command{}, err
	}
	i := b.i
	own := []string{orphans.SystemTag(i.sys.id), port.EnvActor + "=" + i.sys.id, port.EnvKind + "=" + i.kind.Name, sys.EnvBuild + "=" + sys.BuildID()}
	return process.Command{
		Title: i.title(),
		Dir:   i.settings.Process.Dir,
		Env:   slices.Concat(own, lastWins(i.settings.Process.Env), process.WithQuickExit(environment())),
	}, nil
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
		if !strings.HasPrefix(e, "UNDERSTUDY_") && !strings.HasPrefix(e, "NOTIFY_SOCKET=") { // the service manager hears the root alone
			env = append(env, e)
		}
	}
	return env
}
