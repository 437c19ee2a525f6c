package actortest_test

import (
	"testing"

	"go.uber.org/goleak"
)

// withGoleak is a test's main that looks for goroutines when its tests have
// run.
type withGoleak struct{ *testing.M }

func (m withGoleak) Run() (code int) {
	goleak.VerifyTestMain(m.M, goleak.Cleanup(func(c int) { code = c }))
	return code
}

// actor.TestMain together with goleak's:
//
//	func TestMain(m *testing.M) { actor.TestMain(withGoleak{m}) }
func Example_goleak() {}
