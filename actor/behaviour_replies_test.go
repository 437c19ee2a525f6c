package actor_test

import (
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/supervisor"
)

// A caller that does not read its replies has no more of its requests begun, and
// keeps no other caller waiting. When it goes on, it gets them all.
func TestUnreadReplies(t *testing.T) {
	inProcesses(t, func(b *bed) {
		s, r, g := b.held(supervisor.Child{})
		const n = 100
		feast := PuppetFeast.Go(b.ctx, s, burst{To: r, N: n, Note: "had them all"})
		b.diary.expect("sent")
		b.halt("s")
		g.open()
		for range 3 * n { // they are served by turns
			begun, err := PuppetAdd.Call(b.ctx, r, 0)
			if err != nil || begun > n/10 {
				b.Fatalf("%d of %d replies of 1 MiB wait for a caller that does not read: %v", begun, n, err)
			}
		}
		b.must(syscall.Kill(b.pid("s"), syscall.SIGCONT))
		check[string](b, "had them all")(feast.Result())
		check[int](b, n)(PuppetAdd.Call(b.ctx, r, 0))
	})
}
