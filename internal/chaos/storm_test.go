package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/orphans"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/supervisor"
)

// watchdog is the interval in which processes are asked for a sign of life.
const watchdog = 400 * time.Millisecond

// theater is the tree and all that is done to it.
type theater struct {
	tree    *supervisor.Tree
	w       *watcher
	rng     *rand.Rand
	logf    func(string, ...any)
	pending sync.WaitGroup // processes that are to be continued
	done    map[string]int
}

// signal sends a signal to the process of a role, if that is one of ours.
func (th *theater) signal(r uint16, sig syscall.Signal) bool {
	pid := th.w.pid(r)
	if pid == 0 {
		return false
	}
	p, err := os.FindProcess(pid) // a pidfd: whoever it is now, it stays the same
	if err != nil {
		return false
	}
	defer p.Release()
	env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil || !bytes.Contains(env, []byte(orphans.SystemTag(runtime.SystemOf(th.tree).ID()))) {
		return false
	}
	return p.Signal(sig) == nil
}

// adminOf returns the supervisor of a role and its id there, if it is one that
// the root can reach.
func (th *theater) adminOf(r uint16) (*supervisor.Tree, string) {
	parts := strings.Split(strings.TrimPrefix(cast[r].path, "/"), "/")
	if len(parts) == 1 {
		return th.tree, parts[0]
	}
	if parts[0] != "team" {
		return nil, ""
	}
	team, err := th.tree.Supervisor("team")
	if err != nil {
		return nil, ""
	}
	return team, parts[1]
}

// bounce stops a child by hand and starts it again.
func (th *theater) bounce(ctx context.Context, t *supervisor.Tree, id string) {
	if err := t.StopChild(ctx, id); err != nil && ctx.Err() == nil && !isOver(t) {
		th.logf("stop %s in %s: %v", id, t.Path(), err)
	}
	for ctx.Err() == nil && !isOver(t) {
		err := t.RestartChild(ctx, id)
		if err == nil || errors.Is(err, supervisor.ErrRunning) || errors.Is(err, supervisor.ErrRestarting) {
			return
		}
	}
}

func isOver(t *supervisor.Tree) bool {
	select {
	case <-t.Done():
		return true
	default:
		return false
	}
}

// rage does one thing after the other until ctx ends.
func (th *theater) rage(ctx context.Context) {
	all := targets()
	for ctx.Err() == nil {
		r := all[th.rng.IntN(len(all))]
		what := "nothing"
		switch th.rng.IntN(10) {
		case 0, 1, 2, 3:
			if th.signal(r, syscall.SIGKILL) {
				what = "kill"
			}
		case 4, 5:
			what = th.freeze(r, time.Duration(th.rng.IntN(150))*time.Millisecond)
		case 6:
			what = th.freeze(r, 3*watchdog)
		case 7, 8:
			if t, id := th.adminOf(r); t != nil {
				what = "stop and start by hand"
				th.bounce(context.Background(), t, id)
			}
		case 9:
			if th.rng.IntN(3) == 0 {
				what = "stop and start the team"
				th.bounce(context.Background(), th.tree, "team")
			}
		}
		th.done[what]++
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(20+th.rng.IntN(120)) * time.Millisecond):
		}
	}
	th.pending.Wait()
}

func (th *theater) freeze(r uint16, d time.Duration) string {
	if !th.signal(r, syscall.SIGSTOP) {
		return "nothing"
	}
	th.pending.Add(1)
	time.AfterFunc(d, func() {
		defer th.pending.Done()
		th.signal(r, syscall.SIGCONT)
	})
	if d > 2*watchdog {
		return "freeze long"
	}
	return "freeze"
}

// heal ends what hangs: after it, everybody answers.
func (th *theater) heal(ctx context.Context, dir string) error {
	for _, r := range targets() {
		if cast[r].concurrent {
			th.signal(r, syscall.SIGKILL) // one of its slots may hang, and nobody sees it
		}
	}
	for _, r := range targets() {
		ref, err := refOf(th.tree, r)
		if err != nil {
			return err
		}
		for seen := -1; ; {
			try, cancel := context.WithTimeout(ctx, 3*time.Second)
			asked := time.Now()
			_, err := Ping.Call(try, ref, actor.None{})
			if d := time.Since(asked); d > time.Second {
				th.logf("%s: ping took %v: %v", cast[r].path, d, err)
			}
			late := try.Err() != nil
			cancel()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return fmt.Errorf("%s does not come back: %w", cast[r].path, err)
			}
			if !late {
				continue
			}
			if now := begunBy(dir, r); now > seen {
				seen = now // it works, perhaps
				continue
			}
			th.logf("%s hangs: %v", cast[r].path, err)
			if t, id := th.adminOf(r); t != nil && cast[r].inProcess {
				th.bounce(ctx, t, id)
			} else {
				th.signal(r, syscall.SIGKILL)
			}
		}
	}
	return nil
}

// begunBy counts the messages that a role has begun.
func begunBy(dir string, role uint16) int {
	records, _ := readJournal(dir)
	n := 0
	for _, r := range records {
		if r.Entry == entryBegin && r.Self == role {
			n++
		}
	}
	return n
}

// finish has every actor come to the end of its sends.
func (th *theater) finish(ctx context.Context) error {
	var all sync.WaitGroup
	errs := make([]error, len(cast))
	for _, r := range targets() {
		all.Add(1)
		go func() {
			defer all.Done()
			ref, err := refOf(th.tree, r)
			for err == nil {
				var yes bool
				if yes, err = Finish.Call(ctx, ref, actor.None{}); yes && err == nil {
					return
				}
				if ctx.Err() == nil {
					th.logf("%s: finish: %v", cast[r].path, err)
					err = nil
				}
			}
			errs[r] = fmt.Errorf("%s cannot finish: %w", cast[r].path, err)
		}()
	}
	all.Wait()
	return errors.Join(errs...)
}

// autopsy says what everybody waits for, and has the processes print their
// stacks into the log.
func (th *theater) autopsy(dir string) {
	records, err := readJournal(dir)
	if err != nil {
		th.logf("%v", err)
		return
	}
	a := verify(th.w.evidence(records))
	running := make(map[uint64]bool)
	for _, r := range targets() {
		for p, b := range a.born {
			if b.Self == r && int(b.PID) == th.w.pid(r) {
				running[p] = true
			}
		}
	}
	running[self] = true
	for l, ms := range a.messages {
		for i, m := range ms {
			if running[l.process] && m.outcome == 0 {
				th.logf("waits: %s (%v), begun %d, ended %v", a.name(l, uint64(i)+1), m.op, m.begins, m.ended)
			}
		}
	}
	for _, r := range targets() {
		th.signal(r, syscall.SIGQUIT)
	}
}
