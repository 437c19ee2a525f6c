package observe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/understudy-go/understudy/supervisor"
)

// Live returns nil while the loop of the tree's supervisor turns. It says nothing
// of the children: a program whose children fail need not be killed, as they are
// restarted.
func Live(ctx context.Context, tree *supervisor.Tree) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return tree.Ping(ctx)
}

// Ready returns nil while the tree can do its work, and otherwise an error that
// names every child that cannot, each on a line of its own. Not ready is
//
//   - a tree that starts, stops or has ended;
//   - a permanent or significant child that has been away, being restarted, for
//     longer than its ReadyGrace: a restart of milliseconds is none;
//   - one whose last start has failed, while it waits for the next attempt;
//   - one that has ended and is not restarted, as it asked for, and a supervisor
//     that gave up;
//   - one whose process does not answer for as long as its grace.
//
// A child that was stopped by [supervisor.Tree.StopChild] is not missed, nor one
// that is temporary, nor a transient one that has done its work.
func Ready(ctx context.Context, tree *supervisor.Tree) error {
	n := snapshot(ctx, tree, askTimeout)
	errs := missing(n, time.Now())
	if len(errs) == 0 && silent(n) > 0 { // it may just be slow
		n = snapshot(ctx, tree, longestGrace(n)-askTimeout)
		errs = append(missing(n, time.Now()), silentOnes(n)...)
	}
	return errors.Join(errs...)
}

func snapshot(ctx context.Context, tree *supervisor.Tree, d time.Duration) *supervisor.Node {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return tree.Snapshot(ctx)
}

// missed reports whether the tree is not ready without this child.
func missed(n *supervisor.Node) bool { return n.Restart == supervisor.Permanent || n.Significant }

// missing says which children are away.
func missing(root *supervisor.Node, now time.Time) (errs []error) {
	for n := range root.All() {
		if why := missingBecause(root, n, now); why != "" {
			errs = append(errs, fmt.Errorf("%s: %s", n.Path, why))
		}
	}
	return errs
}

func missingBecause(root, n *supervisor.Node, now time.Time) string {
	away := now.Sub(n.Away).Round(time.Millisecond)
	switch {
	case n.Running:
		return ""
	case n == root:
		return because(n.State, n.Failed)
	case n.State == "stopped" && n.Supervisor && n.LastExit != nil && n.LastExit.Err != nil:
		return because("gave up", n.LastExit.Err)
	case !missed(n):
		return ""
	case n.State == "stopped" && n.LastExit != nil && n.LastExit.DoNotRestart:
		return because("ended, and asked not to be restarted", n.LastExit.Err)
	case n.State == "stopped":
		return ""
	case n.Failed != nil:
		return because(n.State+" after a failed start", n.Failed)
	case away > n.ReadyGrace && n.LastExit != nil:
		return fmt.Sprintf("%s, away for %v after %s", n.State, away, firstLine(n.LastExit.String()))
	case away > n.ReadyGrace:
		return fmt.Sprintf("%s, away for %v", n.State, away)
	}
	return ""
}

func because(what string, err error) string {
	if err == nil {
		return what
	}
	return what + ": " + firstLine(err.Error())
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// isSilent reports whether the process of a child that runs did not answer. That
// a foreign program answers no questions is not silence.
func isSilent(n *supervisor.Node) bool {
	return n.Running && n.NoAnswer != nil && !errors.Is(n.NoAnswer, errors.ErrUnsupported) && missed(n)
}

func silent(root *supervisor.Node) (count int) {
	for n := range root.All() {
		if isSilent(n) {
			count++
		}
	}
	return count
}

func silentOnes(root *supervisor.Node) (errs []error) {
	for n := range root.All() {
		if isSilent(n) {
			errs = append(errs, n.NoAnswer)
		}
	}
	return errs
}

// longestGrace returns the longest grace of the children that are silent.
func longestGrace(root *supervisor.Node) time.Duration {
	longest := 2 * askTimeout
	for n := range root.All() {
		if isSilent(n) {
			longest = max(longest, n.ReadyGrace)
		}
	}
	return min(longest, 10*askTimeout)
}

func livez(tree *supervisor.Tree) func(*http.Request) answer {
	return func(r *http.Request) answer { return verdict(Live(r.Context(), tree)) }
}

func readyz(tree *supervisor.Tree) func(*http.Request) answer {
	return func(r *http.Request) answer { return verdict(Ready(r.Context(), tree)) }
}

func verdict(err error) answer {
	if err != nil {
		return plain(http.StatusServiceUnavailable, err.Error())
	}
	return plain(http.StatusOK, "ok")
}
