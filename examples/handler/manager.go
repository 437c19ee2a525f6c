package main

import (
	"context"
	"errors"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/supervisor"
)

// manager is the backend. Its handlers run one at a time, in the order of the
// requests, so its fields need no lock. Whatever takes long, it begins and
// answers later ([actor.Later]): the next request is served meanwhile.
type manager struct {
	staff  *supervisor.Tree // the manager's own supervisor: its children are below the manager's path and end with it
	served int              // requests begun so far
	turn   int              // whose turn it is to work
}

func newManager(ctx context.Context, _ actor.None) (*manager, error) {
	staff, err := supervisor.Start(ctx, supervisor.Spec{Intensity: 3})
	if err != nil {
		return nil, err
	}
	return &manager{staff: staff}, nil
}

// hired is the answer to a hire.
type hired struct {
	Request int // which request it was, by the manager's count
	Worker  actor.Ref[worker]
}

// Hire adds a worker. It returns at once; the caller has its answer when the
// worker is ready. If the caller gives up before, the worker is not kept.
func (m *manager) Hire(ctx context.Context, c contract) (hired, error) {
	m.served++
	request, staff, later := m.served, m.staff, actor.Later[hired](ctx)
	go func() {
		err := staff.StartChild(ctx, supervisor.Child{Name: c.Name, Run: workers.With(c)})
		var ref actor.Ref[worker]
		if err == nil {
			ref, err = workers.Lookup(staff, c.Name)
		}
		_ = later.Reply(hired{request, ref}, err) // it is the only reply
	}()
	return later.Pending()
}

// Roll is who works for a manager.
type Roll struct {
	Request int // which request it was, by the manager's count
	Workers []Entry
}

// Entry is one worker: State is "running" if it is ready.
type Entry struct {
	Name, State string
	PID         int
}

// Roll is answered from what the supervisor knows right now.
func (m *manager) Roll(context.Context, actor.None) (Roll, error) {
	m.served++
	r := Roll{Request: m.served}
	for c := range m.staff.Children() {
		r.Workers = append(r.Workers, Entry{c.Name, c.State, c.PID})
	}
	return r, nil
}

// errNobody says that there is no worker to do the work.
var errNobody = errors.New("no worker is ready")

// Factor passes the request on to a worker, each in turn, and its answer back.
func (m *manager) Factor(ctx context.Context, n uint64) (Answer, error) {
	m.served++
	var ready []string
	for c := range m.staff.Children() {
		if c.Running {
			ready = append(ready, c.Name)
		}
	}
	if len(ready) == 0 {
		return Answer{}, errNobody
	}
	m.turn++
	ref := workers.Ref(m.staff, ready[m.turn%len(ready)])
	later, answer := actor.Later[Answer](ctx), factor.Go(ctx, ref, n)
	go func() { _ = later.Reply(answer.Result()) }()
	return later.Pending()
}

var (
	managers      = actor.Define("manager", newManager, actor.KindOptions{Errors: []error{errNobody}})
	managerHire   = actor.DefineMethod(managers, "hire", (*manager).Hire)
	managerRoll   = actor.DefineMethod(managers, "roll", (*manager).Roll)
	managerFactor = actor.DefineMethod(managers, "factor", (*manager).Factor)
)

// Manager is the frontend.
type Manager struct{ actor.Ref[manager] }

// Hire adds a worker, and does not wait until it is ready.
func (m Manager) Hire(ctx context.Context, c contract) *actor.Future[hired] {
	return managerHire.Go(ctx, m.Ref, c)
}

// Roll lists the workers.
func (m Manager) Roll(ctx context.Context) (Roll, error) {
	return managerRoll.Call(ctx, m.Ref, actor.None{})
}

// Factor has one of the workers find the prime factors of n.
func (m Manager) Factor(ctx context.Context, n uint64) *actor.Future[Answer] {
	return managerFactor.Go(ctx, m.Ref, n)
}
