package supervisor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"sync"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/runtime"
)

// Node is one supervisor or actor as [Tree.Snapshot] found it, with all that is
// below it. What is not known is zero.
type Node struct {
	// ChildInfo is what the supervisor knows. Spec is empty in nodes that another
	// process supervises.
	ChildInfo
	// Series is the path with * in place of each name that was added at run time:
	// of these there are few.
	Series string

	Significant bool
	ReadyGrace  time.Duration // see [Child]
	Away        time.Time     // when it was ready last, or was first started; zero: it is ready
	Failed      error         // why its last start failed, or the supervisor gave up; nil once it is ready

	// What the actor has to do.
	Messages int      // that wait in its inbox; those still with their senders are not counted
	Bytes    int      // of them
	InHand   int      // messages that its handlers work on
	Methods  []string // of those

	// What its process takes. Zero in-process: the process is that of a node above.
	Resident int64         // bytes of memory, with what it shares
	Shared   int64         // of them, bytes of files and of shared memory: arrays, its executable
	CPU      time.Duration // since its start
	Files    int           // open descriptors
	Threads  int
	Halted   bool // by a signal or a debugger

	// What its process holds of package shm, in bytes.
	FrozenArrays, SharedArrays int64

	// Limits of its process, and of its mailbox: 0 is none, or the default.
	Limits  Limits
	Mailbox actor.Mailbox

	// NoAnswer is why nothing is known of what the actor has to do and of what is
	// below it: its process did not answer in time, or cannot. Nil if it answered.
	NoAnswer error

	Children []*Node // in start order
}

// Limits are those of an actor's process: see [actor.Process].
type Limits struct {
	Memory int64
	Files  int
	CPUs   int
	Nice   int
}

// All yields n and all nodes below it, each before those below it.
func (n *Node) All() iter.Seq[*Node] {
	return func(yield func(*Node) bool) { n.walk(yield) }
}

func (n *Node) walk(yield func(*Node) bool) bool {
	if !yield(n) {
		return false
	}
	for _, c := range n.Children {
		if !c.walk(yield) {
			return false
		}
	}
	return true
}

// defaultSnapshotTime bounds a snapshot whose ctx has no deadline.
const defaultSnapshotTime = time.Second

// Snapshot returns what there is of the supervisor, with all actors and supervisors
// below it, also those that other processes supervise. The processes are asked
// side by side, and answer whatever their handlers do. A process that has not
// answered when ctx ends (or after one second, if ctx has no deadline) is a
// node with NoAnswer: what the kernel counts is known of it all the same.
//
// The nodes are seen one after another, not at one instant.
func (t *Tree) Snapshot(ctx context.Context) *Node {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultSnapshotTime)
		defer cancel()
	}
	if t.away != nil {
		return t.snapshotAway(ctx)
	}
	var s survey
	n := s.tree(ctx, t)
	s.work.Wait()
	return n
}

// survey makes a snapshot.
type survey struct{ work sync.WaitGroup }

// tree returns the node of a supervisor that is not another's child.
func (s *survey) tree(ctx context.Context, t *Tree) *Node {
	n := &Node{ChildInfo: ChildInfo{Name: path.Base(t.path), Path: t.path, Kind: kindSupervisor, Supervisor: true, Incarnation: t.incarnation,
		Since: t.begun}, Series: t.plan.series, ReadyGrace: defaultReadyGrace, Failed: t.Err()}
	n.State = t.stateNow()
	if n.Running = n.State == running.String(); !n.Running {
		n.Away = t.begun
	}
	if t.actor == "" && t.parent == nil {
		n.PID = os.Getpid()
		n.takes(process.ReadUsage(n.PID))
		n.FrozenArrays, n.SharedArrays = runtime.HeldArrays()
	}
	n.Children = s.children(ctx, t)
	return n
}

// stateNow says what the supervisor does, in the words of ChildInfo.
func (t *Tree) stateNow() string {
	select {
	case <-t.done:
		return idle.String()
	default:
	}
	s := t.state.Load()
	if s.op.kind == opShutdown || s.done {
		return stopping.String()
	}
	select {
	case <-t.ready:
		return running.String()
	default:
		return starting.String()
	}
}

func (s *survey) children(ctx context.Context, t *Tree) []*Node {
	var nodes []*Node
	for c := range t.state.Load().all() {
		nodes = append(nodes, s.child(ctx, t, c))
	}
	return nodes
}

func (s *survey) child(ctx context.Context, t *Tree, c *child) *Node {
	n := &Node{ChildInfo: t.info(c), Series: c.series, Significant: c.significant, ReadyGrace: c.readyGrace, Failed: c.lastErr}
	if c.phase != running {
		n.Away = t.begun.Add(c.awayAt)
	}
	n.limitedBy(c.spec)
	if !c.phase.alive() {
		return n
	}
	switch inst := t.getLive(c.inc).(type) {
	case nested:
		n.Children = s.children(ctx, inst.t)
	case ownProcess:
		s.actor(ctx, n, inst.Instance)
	case *runtime.Instance:
		s.actor(ctx, n, inst)
	}
	return n
}

// limitedBy takes over what the launcher l says.
func (n *Node) limitedBy(l any) {
	if a, ok := l.(*added); ok {
		l = a.launcher
	}
	var settings runtime.Settings
	switch l := l.(type) {
	case actorLauncher:
		settings = l.role.Settings()
	case ownLauncher:
		settings = l.role.Settings()
	}
	p := settings.Process
	n.Limits, n.Mailbox = Limits{p.Memory, p.Files, p.CPUs, p.Nice}, settings.Mailbox
}

func (n *Node) takes(u process.Usage, ok bool) {
	if ok {
		n.Resident, n.Shared, n.CPU, n.Files, n.Threads, n.Halted = u.Resident, u.Shared, u.CPU, u.Files, u.Threads, u.Stopped
	}
}

func (n *Node) has(l runtime.Load) {
	n.Messages, n.Bytes, n.InHand, n.Methods = l.Messages, l.Bytes, l.InHand, l.Methods
	n.FrozenArrays, n.SharedArrays = l.Frozen, l.Shared
}

// actor fills in what is known of an actor and of what is below it.
func (s *survey) actor(ctx context.Context, n *Node, inst *runtime.Instance) {
	n.takes(inst.Usage())
	if l, here := inst.Load(); here {
		n.has(l)
		n.Children = s.below(ctx, inst.System(), inst.Path())
		return
	}
	s.work.Go(func() {
		if err := n.ask(ctx, inst); err != nil && n.NoAnswer == nil {
			n.NoAnswer = err
		}
	})
}

// below returns the nodes of the trees that the actor at a path has started here.
func (s *survey) below(ctx context.Context, sys *runtime.System, at string) []*Node {
	var nodes []*Node
	for _, t := range inside.of(sys, at) {
		if t.path == at { // the actor itself stands for it
			nodes = append(nodes, s.children(ctx, t)...)
		} else {
			nodes = append(nodes, s.tree(ctx, t))
		}
	}
	return nodes
}

// ask has the actor's process say the rest. The process gets less time than we
// have: what it waits for in vain must not cost us the rest of its answer.
func (n *Node) ask(ctx context.Context, inst *runtime.Instance) error {
	order := snapshotOrder{For: defaultSnapshotTime}
	if at, ok := ctx.Deadline(); ok {
		order.For = time.Until(at) * 3 / 4
	}
	raw, err := inst.Ask(ctx, aboutTree, encodeOrder(order))
	switch {
	case errors.Is(err, runtime.ErrNoAnswer):
		return err
	case err != nil && ctx.Err() != nil:
		return fmt.Errorf("%s: %w: %w", n.Path, errSilent, context.Cause(ctx))
	case err != nil:
		return err
	}
	return n.decode(raw)
}

// errSilent: a process did not answer in time.
var errSilent = errors.New("its process did not answer in time")

// Ping returns when the supervisor has looked at its queue of events: nil says
// that its loop turns. Otherwise it is why the supervisor has ended, or the cause
// of ctx's end.
func (t *Tree) Ping(ctx context.Context) error {
	if t.away != nil {
		_, err := t.order(ctx, adminOrder{Do: doFind})
		return err
	}
	turned := make(chan struct{})
	if !t.inbox.post(pinged{turned}) {
		return t.stopped()
	}
	select {
	case <-turned:
		return nil
	case <-t.done:
		return t.stopped()
	case <-ctx.Done():
		return fmt.Errorf("supervisor %s does not answer: %w", t.path, context.Cause(ctx))
	}
}
