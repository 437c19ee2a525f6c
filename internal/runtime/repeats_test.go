package runtime

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// Many dead letters at once are a few records and one with their number, also if
// the system ends before the second is over; those of the next second are logged.
func TestDeadLettersAreNotLoggedOneByOne(t *testing.T) {
	for _, typ := range []actor.EventType{actor.EventDeadLetter, actor.EventCastFailed} {
		synctest.Test(t, func(t *testing.T) {
			var out bytes.Buffer
			s := newSystem("test", SystemOptions{Logger: slog.New(slog.NewTextHandler(&out, nil))})
			many := func(n int) {
				for range n {
					s.Emit(actor.Event{Type: typ, Path: "/a", Err: errors.New("over")})
				}
			}
			many(722)
			time.Sleep(2 * repeatsPeriod)
			many(5)
			time.Sleep(2 * repeatsPeriod)
			many(12)
			if err := s.Close(context.Background()); err != nil {
				t.Fatal(err)
			}
			if got := strings.Count(out.String(), "path=/a"); got != 10+5+10 {
				t.Errorf("%d records", got)
			}
			if !strings.Contains(out.String(), "count=712") || !strings.Contains(out.String(), "count=2\n") {
				t.Errorf("the rest is not counted: %s", out.String())
			}
		})
	}
}
