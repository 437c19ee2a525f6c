package runtime

import (
	"context"
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/actor"
)

// An end that is known is told, also when the system ends at the same time.
func TestExitReportOfClosedSystem(t *testing.T) {
	s := newSystem("test", SystemOptions{})
	over, cancel := context.WithCancelCause(context.Background())
	cancel(actor.ErrStopped)
	i := &Instance{sys: s, path: "/a", incarnation: uuid.New(), done: make(chan struct{})}
	i.backend = hostedNothing{}
	i.exit = actor.ExitStatus{Reason: actor.ReasonKilled}
	close(i.done)
	s.recordExit("/a", i, i.down())
	for range 100 {
		for _, l := range []*connection{{inst: i}, {inc: i.incarnation}} {
			if d, err := s.exitReport(over, l, "/a"); err != nil || d.ExitStatus.Reason != actor.ReasonKilled {
				t.Fatalf("%+v, %v", d, err)
			}
		}
	}
	if _, err := s.exitReport(over, &connection{inc: uuid.New()}, "/a"); !errors.Is(err, actor.ErrStopped) {
		t.Errorf("an end that is not known: %v", err)
	}
}

// hostedNothing is a backend that has a pid and nothing else.
type hostedNothing struct{ backend }

func (hostedNothing) pid() int { return 7 }
