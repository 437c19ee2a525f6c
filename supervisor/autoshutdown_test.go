package supervisor

import (
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// "Considered only when a significant child ends by itself and is not
// restarted. Any: the supervisor stops. All: it stops when no other significant
// child runs."
func TestAutoShutdown(t *testing.T) {
	any1 := rules{intensity: 1000, period: time.Second, auto: AutoShutdownAny}
	all := rules{intensity: 1000, period: time.Second, auto: AutoShutdownAll}
	sig := func(id string, r Restart) spec { return kid(id, Child{Restart: r, Significant: true}) }
	for _, tc := range []struct {
		name  string
		rules rules
		do    func(w *world)
		ends  bool
	}{
		{"any: a normal end", any1, func(w *world) { w.finish("t1") }, true},
		{"any: a shutdown", any1, func(w *world) { w.ends("t1", actor.ExitStatus{Reason: actor.ReasonShutdown}) }, true},
		{"any: a temporary one's normal end", any1, func(w *world) { w.finish("p") }, true},
		{"any: a temporary one's crash", any1, func(w *world) { w.crash("p") }, true},
		{"any: a crash that is restarted", any1, func(w *world) { w.crash("t1") }, false},
		{"any: not significant", any1, func(w *world) { w.finish("plain") }, false},
		{"any: do not restart", any1, func(w *world) {
			w.ends("t1", actor.ExitStatus{Reason: actor.ReasonError, DoNotRestart: true})
		}, true},
		{"all: the first of three", all, func(w *world) { w.finish("t1") }, false},
		{"all: the last", all, func(w *world) { w.finish("t1"); w.crash("p"); w.finish("t2") }, true},
		{"all: not significant", all, func(w *world) { w.finish("t1"); w.crash("p"); w.finish("plain") }, false},
		{"all: the others were stopped by hand", all, func(w *world) {
			w.call(verbStop, "t1")
			w.call(verbStop, "p")
			w.finish("t2")
		}, true},
		{"never triggered by an admin call", any1, func(w *world) {
			for _, id := range []string{"t1", "t2", "p", "plain"} {
				w.call(verbStop, id)
			}
		}, false},
		{"one that is restarting counts as running", all, func(w *world) {
			w.starts["t1"] = []error{errBoom}
			w.crash("t1") // restarting: the second attempt is an hour away
			w.finish("t2")
			w.finish("p")
			w.expect("t1:restarting t2:stopped plain:running")
		}, false},
		{"a failed start in a restart is retried", any1, func(w *world) {
			w.starts["t1"] = []error{errBoom}
			w.crash("t1")
		}, false},
		{"a start in a restart that says do not restart", any1, func(w *world) {
			w.starts["t1"] = []error{actor.ErrDoNotRestart}
			w.crash("t1")
		}, true},
		{"never", rules{intensity: 1000, period: time.Second}, func(w *world) { w.finish("t1"); w.finish("t2"); w.finish("p") }, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := startedWorld(t, tc.rules, kid("t1", Child{Restart: Transient, Significant: true, Backoff: Backoff{Min: time.Hour}}),
				sig("t2", Transient), sig("p", Temporary), kid("plain", Child{Restart: Transient}))
			tc.do(w)
			if tc.ends {
				w.expectEnd(endAutoShutdown)
				if w.over.err != nil {
					t.Fatalf("end says %v", w.over.err)
				}
			} else {
				w.expectLives()
			}
		})
	}
}

// "Never triggered ... by a group restart or by a restart."
func TestAutoShutdownNotByGroupRestart(t *testing.T) {
	for _, auto := range []AutoShutdown{AutoShutdownAny, AutoShutdownAll} {
		w := startedWorld(t, rules{strategy: OneForAll, intensity: 9, period: time.Second, auto: auto},
			kid("a"), kid("p", Child{Restart: Temporary, Significant: true}), kid("t", Child{Restart: Transient, Significant: true}))
		w.stubborn["t"] = true
		w.crash("a")
		w.finish("p") // by itself, in the midst of a group restart that takes it along
		w.finish("t") // likewise, and it was asked already
		w.expectLives()
		w.expect("a:running t:running")
	}
}
