package supervisor

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/understudy-go/understudy/actor"
)

// What a child asks for itself when it does not start is not what its supervisor
// asks for: the supervisor is started again, and escalates if that goes on.
func TestWishOfAGrandchild(t *testing.T) {
	onStage(t, func(t *testing.T, st *stage) {
		tree := mustStart(t, st, Spec{Intensity: 3, Children: []Child{
			{Name: "m", Run: Spec{Intensity: NoRestarts, Children: []Child{st.actor("x"), st.actor("y")}}}}})
		st.next["/m/y"] = []script{{startErr: fmt.Errorf("no: %w", actor.ErrDoNotRestart)}}
		st.crash(t, "/m/x")
		synctest.Wait()
		mustShow(t, tree, "m:running")
		mustDid(t, st, "-/m/y +/m/x +/m/y -/m/x +/m/x +/m/y")
		mustStop(t, st, tree)
	})
	for _, wish := range []error{actor.ErrDoNotRestart, actor.ErrIgnore} {
		err := childsWish(&StartError{Path: "/p/x", Err: fmt.Errorf("no: %w", wish)})
		if errors.Is(err, wish) || !strings.Contains(err.Error(), "/p/x") {
			t.Errorf("%v passes for the supervisor's own wish", err)
		}
	}
}
