package observe

import (
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
	"github.com/understudy-go/understudy/supervisor"
)

// metrics serves what a snapshot and the counters of the root say. Labels are a
// path and a kind; what was added at run time is one series for each kind, so that
// their number is bounded.
func metrics(tree *supervisor.Tree) func(*http.Request) answer {
	return func(r *http.Request) answer {
		open := wantsOpenMetrics(r)
		a := answer{contentType: prometheusType}
		if open {
			a.contentType = openMetricsType
		}
		began := time.Now()
		n := snapshot(r.Context(), tree, askTimeout)
		a.body = expose(gather(n, runtime.SystemOf(tree), time.Since(began)), open)
		return a
	}
}

// gather returns all families.
func gather(root *supervisor.Node, sys *runtime.System, took time.Duration) []*family {
	all := append(ofNodes(root), ofCounters(sys)...)
	silent := &family{name: "understudy_silent_processes", kind: gauge, help: "Processes that did not answer this scrape in time: their mailboxes and what is below them are left out."}
	silent.add(float64(silentCount(root)))
	scrape := &family{name: "understudy_scrape_seconds", kind: gauge, help: "Time in which the processes of the tree were asked."}
	scrape.add(took.Seconds())
	return append(all, silent, scrape)
}

func silentCount(root *supervisor.Node) (count int) {
	for n := range root.All() {
		if n.NoAnswer != nil {
			count++
		}
	}
	return count
}

// nodeMetric is a gauge of nodes: those of one series are summed.
type nodeMetric struct {
	name, help string
	of         func(n *supervisor.Node) (value float64, ok bool)
}

// Values of all children, of all processes, and of children that have one.
func always(v func(*supervisor.Node) float64) func(*supervisor.Node) (float64, bool) {
	return func(n *supervisor.Node) (float64, bool) { return v(n), true }
}

func answered(v func(*supervisor.Node) int) func(*supervisor.Node) (float64, bool) {
	return func(n *supervisor.Node) (float64, bool) {
		return float64(v(n)), n.Running && n.NoAnswer == nil && n.Kind != "supervisor"
	}
}

func ofProcess(v func(*supervisor.Node) float64) func(*supervisor.Node) (float64, bool) {
	return func(n *supervisor.Node) (float64, bool) { return v(n), n.Threads > 0 }
}

var nodeMetrics = []nodeMetric{
	{"understudy_up", "How many of the series run and are ready: 0 or 1 for a child of a spec.", always(func(n *supervisor.Node) float64 {
		if n.Running {
			return 1
		}
		return 0
	})},
	{"understudy_children", "How many children there are of the series, running or not.", always(func(*supervisor.Node) float64 { return 1 })},
	{"understudy_mailbox_messages", "Messages that wait in the actor's process.", answered(func(n *supervisor.Node) int { return n.Messages })},
	{"understudy_mailbox_bytes", "Bytes of the messages that wait in the actor's process.", answered(func(n *supervisor.Node) int { return n.Bytes })},
	{"understudy_messages_in_hand", "Messages that handlers work on.", answered(func(n *supervisor.Node) int { return n.InHand })},
	{"understudy_process_resident_memory_bytes", "Resident memory of the process.", ofProcess(func(n *supervisor.Node) float64 { return float64(n.Resident) })},
	{"understudy_process_shared_memory_bytes", "Resident memory of the process that is of files or shared, such as arrays.", ofProcess(func(n *supervisor.Node) float64 { return float64(n.Shared) })},
	{"understudy_process_open_fds", "Open descriptors of the process.", ofProcess(func(n *supervisor.Node) float64 { return float64(n.Files) })},
	{"understudy_process_threads", "Threads of the process.", ofProcess(func(n *supervisor.Node) float64 { return float64(n.Threads) })},
	{"understudy_memory_limit_bytes", "Limit of the process's memory, where there is one.", func(n *supervisor.Node) (float64, bool) {
		return float64(n.Limits.Memory), n.Limits.Memory > 0
	}},
}

// ofNodes returns the families of what a snapshot shows.
func ofNodes(root *supervisor.Node) (all []*family) {
	for _, m := range nodeMetrics {
		f := &family{name: m.name, kind: gauge, help: m.help}
		sums := make(map[series]float64)
		for n := range root.All() {
			if v, ok := m.of(n); ok {
				sums[seriesOf(n)] += v
			}
		}
		for s, v := range sums {
			f.add(v, labels(s)...)
		}
		all = append(all, f)
	}
	cpu := &family{name: "understudy_process_cpu_seconds", kind: counter, help: "CPU time of the process; it begins anew with each incarnation. Of children of a spec only."}
	arrays := &family{name: "understudy_array_bytes", kind: gauge, help: "Bytes of arrays that the process holds, by mode. One array may be held by several processes."}
	frozen, shared := make(map[series]int64), make(map[series]int64)
	for n := range root.All() {
		if n.Threads == 0 {
			continue
		}
		s := seriesOf(n)
		if n.Series == n.Path {
			cpu.add(n.CPU.Seconds(), labels(s)...)
		}
		if n.NoAnswer == nil {
			frozen[s] += n.FrozenArrays
			shared[s] += n.SharedArrays
		}
	}
	for s := range frozen {
		arrays.add(float64(frozen[s]), append(labels(s), "mode", "frozen")...)
		arrays.add(float64(shared[s]), append(labels(s), "mode", "shared")...)
	}
	return append(all, cpu, arrays)
}

func seriesOf(n *supervisor.Node) series { return series{Path: n.Series, Kind: n.Kind} }

// series is what samples are of.
type series = runtime.Series

func labels(s series) []string { return []string{"path", s.Path, "kind", s.Kind} }

// counted are the counters of the root, by the type of event.
var counted = []struct {
	what       actor.EventType
	name, help string
}{
	{actor.EventRestarting, "understudy_restarts", "Restarts that were begun, by the reason of the end before."},
	{actor.EventExited, "understudy_exits", "Ends of incarnations that had been ready, by reason."},
	{actor.EventStartFailed, "understudy_start_failures", "Starts that failed, by reason."},
	{actor.EventGaveUp, "understudy_gave_up", "Supervisors that had to restart their children too often."},
}

// ofCounters returns the families of what the root has counted since it began:
// they survive every restart.
func ofCounters(sys *runtime.System) (all []*family) {
	for _, c := range counted {
		f := &family{name: c.name, kind: counter, help: c.help}
		for n := range sys.Counted(c.what) {
			of := labels(n.Series)
			if c.what != actor.EventGaveUp {
				of = append(of, "reason", n.Reason.String())
			}
			f.add(float64(n.N), of...)
		}
		all = append(all, f)
	}
	spawn := &family{name: "understudy_spawn_seconds", kind: histogram, help: "Time from the beginning of a start until the actor is ready, by kind."}
	starts := sys.Starts()
	for _, kind := range slices.Sorted(maps.Keys(starts)) {
		d := starts[kind]
		spawn.addHistogram(d.Bounds, d.Counts, d.Sum, "kind", kind)
	}
	dead := &family{name: "understudy_dead_letters", kind: counter, help: "Messages that will not be handled, or whose handling was cut off."}
	dead.add(float64(sys.CountOf(actor.EventDeadLetter)))
	return append(all, spawn, dead)
}
