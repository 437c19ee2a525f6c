package runtime

import (
	"sync"

	"github.com/understudy-go/understudy/actor"
)

// toldExits are the last ends of incarnations that processes below have told of
// in their events. Their supervisor knows them better, but it may be gone with
// its process: one that gives up ends right after the actor that was the reason.
type toldExits struct {
	mu    sync.Mutex
	downs map[string]actor.Down // by incarnation
	order []string              // the oldest first
}

// maxTold bounds them.
const maxTold = 1024

// note takes an event from below.
func (t *toldExits) note(e actor.Event) {
	if e.Exit == nil || e.Type != actor.EventExited {
		return
	}
	key := e.Incarnation.String()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.downs == nil {
		t.downs = make(map[string]actor.Down)
	}
	if _, known := t.downs[key]; known {
		return
	}
	if len(t.order) == maxTold {
		delete(t.downs, t.order[0])
		t.order = t.order[1:]
	}
	t.order = append(t.order, key)
	t.downs[key] = actor.Down{Path: e.Path, PID: e.PID, Incarnation: e.Incarnation, ExitStatus: *e.Exit}
}

// of returns the end of an incarnation, if it was told.
func (t *toldExits) of(incarnation string) (actor.Down, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	d, ok := t.downs[incarnation]
	return d, ok
}
