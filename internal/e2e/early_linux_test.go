package e2e_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/internal/wire"
)

// What a parent asks before it has said what its child is to be is answered:
// whom it concerns, nobody there knows.
func TestRequestsBeforeTheStart(t *testing.T) {
	leaktest.Check(t)
	a := startRaw(t, nil)
	order := list(map[string]any{"path": "/raw/child", "incarnation": uuid.NewString(), "kind": "victim", "from": "/"})
	var ids []uint64
	ask := func(method string, params []byte) {
		id, err := a.request(method, params, nil)
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, id)
	}
	ask("$/hello", list(helloMap(nil)))
	for range 20 {
		ask("$/obituary", order)
		if _, err := a.request("$/introduce", order, nil); err != nil { // waits for the child
			t.Fatal(err)
		}
	}
	ask("$/start", list(startMap(nil)))
	for left := len(ids); left > 0; {
		e, err := a.read()
		if err != nil {
			t.Fatal(err)
		}
		i := slices.Index(ids, e.ID)
		if e.Type != wire.Response || i < 0 {
			continue
		}
		left--
		if known := i == 0 || i == len(ids)-1; known != (e.Err == nil) {
			t.Errorf("answer %d: %s, %s", i, text(e.Result), text(e.Err))
		}
	}
	a.endsWell()
}
