package supervisor

import (
	"errors"
	"fmt"
	"sync"

	"github.com/understudy-go/understudy/internal/port"
	"github.com/understudy-go/understudy/internal/runtime"
)

// poolBody is a child that is a pool.
type poolBody struct{ pool Pool }

func (b poolBody) kind() string {
	worker, _ := bodyOf(b.pool.Run).(actorBody)
	return kindName(worker.role)
}

// prepare: the fields of the child that concern an actor are those of each
// worker.
func (b poolBody) prepare(path string, p *plan, c Child) (launcher, Child, error) {
	worker, ok := bodyOf(b.pool.Run).(actorBody)
	if !ok && b.pool.Run != nil {
		return nil, c, fmt.Errorf("the Run of a pool is %T, want an actor kind's With(args)", b.pool.Run)
	}
	c = c.or(p.defaults)
	slots, kind := 1, worker.role.Kind
	if kind != nil {
		slots = kind.Concurrent
	}
	rules, err := b.pool.rules(c.Name, slots)
	if err != nil {
		return nil, c, errors.Join(err, c.check())
	}
	c.series = join(c.series, "*")
	l, err := newActorLauncher(worker.role, c, c.stopTimeout(defaultStopTimeout), p.max)
	if err != nil {
		return nil, c, err
	}
	return &poolLauncher{actorLauncher: l, name: c.Name, rules: rules, kind: kind, drain: c.Drain}, c, nil
}

// poolLauncher starts a pool, again and again. The names of workers go on from
// one to the next.
type poolLauncher struct {
	actorLauncher
	name  string
	rules poolRules
	kind  *port.Kind
	drain bool

	mu         sync.Mutex
	lastWorker workerID
	lastGrant  grantID
}

func (l *poolLauncher) launch(parent *Tree, path string) instance {
	return startPool(parent, path, l)
}

// used notes which names a pool that has ended has used.
func (l *poolLauncher) used(w workerID, g grantID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lastWorker, l.lastGrant = w, g
}

func (l *poolLauncher) core() *poolCore {
	l.mu.Lock()
	defer l.mu.Unlock()
	return newPoolCore(l.rules, l.lastWorker, l.lastGrant)
}

var _ instance = (*poolRunner)(nil)
var _ runtime.Dispatcher = (*poolRunner)(nil)
