package process

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
)

// guardianBackoffMin is the pause before a guardian is replaced, the first time; replaced in tests.
var guardianBackoffMin = 50 * time.Millisecond

const (
	guardianBackoffMax = 5 * time.Second
	// guardianSteady is how long a guardian must have lived for its end to be an accident and not a habit.
	guardianSteady = time.Second
)

// Guardian is a small process beside a system that ends whatever the system leaves behind: when this process is
// gone, however it went, or when Close is called, it kills every process that is in the system's control group, if it
// has one, or whose environment has the system's Cookie. The parent-death signal does most of that; the guardian
// reaches those that left their group or session.
type Guardian struct {
	system  string
	group   string // the directory of its control group, "" if there is none
	closing chan struct{}
	once    sync.Once
	done    chan struct{}
	err     error // set before done is closed

	mu  sync.Mutex
	pid int
}

// watch is one guardian process and our end of the pipe whose closing is its signal.
type watch struct {
	process *Process
	pipe    *os.File
	started time.Time
}

// StartGuardian starts the guardian of a system: this program again, which must call RunGuardianIfAsked first in
// main. It runs in its own session, without the cookie, and is replaced if somebody kills it. Only the root of a
// system has a guardian: who carries the cookie himself dies in the sweep. With groups, which may be nil, it ends their
// directory, too. The caller calls Close.
func StartGuardian(system string, groups *Cgroups) (*Guardian, error) {
	if system == "" || strings.ContainsRune(system, 0) {
		return nil, fmt.Errorf("process: guardian for system %q: %w", system, unix.EINVAL)
	}
	if _, ok := os.LookupEnv(envGuardian); ok {
		return nil, errors.New("process: this process was started as a guardian and did not become one: " +
			"the program must call actor.Main first in main")
	}
	g := &Guardian{system: system, group: groups.Dir(), closing: make(chan struct{}), done: make(chan struct{})}
	w, err := g.launch()
	if err != nil {
		return nil, err
	}
	g.pid = w.process.pid
	go g.run(w)
	return g, nil
}

// PID returns the process id of the current guardian, 0 while it is being replaced.
func (g *Guardian) PID() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.pid
}

// Close has the guardian kill what is left of the system, and returns when that and the guardian are gone. Later
// calls return the same.
func (g *Guardian) Close() error {
	g.once.Do(func() { close(g.closing) })
	<-g.done
	return g.err
}

func (g *Guardian) launch() (*watch, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return nil, os.NewSyscallError("pipe2", err)
	}
	r, w := os.NewFile(uintptr(fds[0]), "guardian's pipe"), os.NewFile(uintptr(fds[1]), "guardian's pipe")
	defer func() { _ = r.Close() }()
	p, err := Start(context.Background(), Command{
		Title:    filepath.Base(strings.TrimRight(os.Args[0], " ")) + ": guardian",
		Env:      g.environ(),
		Dir:      "/", // whatever it was started in may be unmounted
		Files:    []*os.File{r},
		guardian: true,
	})
	if err != nil {
		_ = w.Close()
		return nil, err
	}
	return &watch{process: p, pipe: w, started: time.Now()}, nil
}

// environ is ours, because the program's package initialisers run with it, but for what would make the
// guardian part of a system, this one or one above.
func (g *Guardian) environ() []string {
	env := []string{envGuardian + "=" + g.system, envGuardianCgroup + "=" + g.group, "GOMAXPROCS=1"}
	for _, e := range os.Environ() {
		if name, _, _ := strings.Cut(e, "="); !strings.HasPrefix(name, "UNDERSTUDY_") && name != "GOMAXPROCS" {
			env = append(env, e)
		}
	}
	return WithQuickExit(env)
}

// run replaces guardians that end before their time.
func (g *Guardian) run(w *watch) {
	defer close(g.done)
	backoff := guardianBackoffMin
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
		if time.Since(w.started) >= guardianSteady {
			backoff = guardianBackoffMin
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
			backoff = min(2*backoff, guardianBackoffMax)
			w, _ = g.launch() // no process or descriptor to be had: again later
		}
		g.setPID(w.process.pid)
	}
}

func (g *Guardian) setPID(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pid = pid
}
