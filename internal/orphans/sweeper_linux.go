package orphans

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/cgroup"
	"github.com/understudy-go/understudy/internal/process"
)

// sweeperBackoffMin is the pause before a sweeper is replaced, the first time; replaced in tests.
var sweeperBackoffMin = 50 * time.Millisecond

const (
	sweeperBackoffMax = 5 * time.Second
	// sweeperSteady is how long a sweeper must have lived for its end to be an accident and not a habit.
	sweeperSteady = time.Second
)

// Sweeper is a small process beside a system that ends whatever the system leaves behind: when this process is
// gone, however it went, or when Close is called, it kills every process that is in the system's control group, if it
// has one, or whose environment has the system's tag. The parent-death signal does most of that; the sweeper
// reaches those that left their group or session.
type Sweeper struct {
	system  string
	group   string // the directory of its control group, "" if there is none
	closing chan struct{}
	once    sync.Once
	done    chan struct{}
	err     error // set before done is closed

	mu  sync.Mutex
	pid int
}

// watch is one sweeper process and our end of the pipe whose closing is its signal.
type watch struct {
	process *process.Process
	pipe    *os.File
	started time.Time
}

// StartSweeper starts the sweeper of a system: this program again, which must call RunSweeperIfAsked first in
// main. It runs in its own session, without the tag, and is replaced when it is killed. Only the root of a
// system has a sweeper: who carries the tag himself dies in the sweep. With groups, which may be nil, it ends their
// directory, too. The caller calls Close.
func StartSweeper(system string, groups *cgroup.Groups) (*Sweeper, error) {
	if system == "" || strings.ContainsRune(system, 0) {
		return nil, fmt.Errorf("orphans: sweeper for system %q: %w", system, unix.EINVAL)
	}
	if _, ok := os.LookupEnv(envSweeper); ok {
		return nil, errors.New("orphans: this process was started as a sweeper and did not become one: " +
			"the program must call actor.Main first in main")
	}
	g := &Sweeper{system: system, group: groups.Dir(), closing: make(chan struct{}), done: make(chan struct{})}
	w, err := g.launch()
	if err != nil {
		return nil, err
	}
	g.pid = w.process.PID()
	go g.run(w)
	return g, nil
}

// PID returns the process id of the current sweeper, 0 while it is being replaced.
func (g *Sweeper) PID() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pid
}

// Close has the sweeper kill what is left of the system, and returns when that and the sweeper are gone. Later
// calls return the same.
func (g *Sweeper) Close() error {
	g.once.Do(func() { close(g.closing) })
	<-g.done
	return g.err
}

func (g *Sweeper) launch() (*watch, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "sweeper's pipe"), os.NewFile(uintptr(fds[1]), "sweeper's pipe")
	defer func() { _ = r.Close() }()
	p, err := process.Start(context.Background(), process.Command{
		Title:    filepath.Base(os.Args[0]) + ": orphan sweeper",
		Env:      g.environ(),
		Dir:      "/", // whatever it was started in may be unmounted
		Files:    []*os.File{r},
		Detached: true,
	})
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	return &watch{process: p, pipe: w, started: time.Now()}, nil
}

// environ is ours, because the program's package initialisers run with it, but for what would make the
// sweeper part of a system, this one or one above.
func (g *Sweeper) environ() []string {
	env := []string{envSweeper + "=" + g.system, envGroup + "=" + g.group, "GOMAXPROCS=1"}
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); !strings.HasPrefix(name, "UNDERSTUDY_") && name != "GOMAXPROCS" {
			env = append(env, e)
		}
	}
	return process.WithQuickExit(env)
}

// run replaces sweepers that end before their time.
func (g *Sweeper) run(w *watch) {
	defer close(g.done)
	backoff := sweeperBackoffMin
	for {
		select {
		case <-g.closing:
			_ = w.pipe.Close() // tells it to sweep
			status := w.process.Status()
			g.setPID(0)
			if !status.Success() {
				g.err = sweepAll(g.system, g.group) // it was killed at it, or gave up: once more, from here
			}
			return
		case <-w.process.Done():
		}
		g.setPID(0)
		_ = w.pipe.Close()
		if time.Since(w.started) >= sweeperSteady {
			backoff = sweeperBackoffMin
		}
		w = nil
		for w == nil {
			timer := time.NewTimer(backoff)
			select {
			case <-g.closing:
				timer.Stop()
				g.err = sweepAll(g.system, g.group)
				return
			case <-timer.C:
			}
			backoff = min(2*backoff, sweeperBackoffMax)
			w, _ = g.launch() // no process or descriptor is free: again later
		}
		g.setPID(w.process.PID())
	}
}

func (g *Sweeper) setPID(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pid = pid
}
