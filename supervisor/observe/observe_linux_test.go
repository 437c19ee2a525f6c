package observe_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/supervisor"
	"github.com/understudy-go/understudy/supervisor/observe"
)

func TestMain(m *testing.M) { actor.TestMain(m) }

// flag is a file that has to be there for its actors to start.
type flag struct{ Path string }

type clerk struct{}

func newClerk(_ context.Context, f flag) (*clerk, error) {
	if f.Path == "" {
		return &clerk{}, nil
	}
	_, err := os.Stat(f.Path)
	return &clerk{}, err
}

func (clerk) Stamp(_ context.Context, form string) (string, error) { return form + ", stamped", nil }
func (clerk) Hold(ctx context.Context, _ string) (string, error)   { <-ctx.Done(); return "", ctx.Err() }
func (clerk) End(_ context.Context, code int) (string, error)      { os.Exit(code); return "", nil }

var (
	clerks = actor.Define("clerk", newClerk)
	stamp  = actor.DefineMethod(clerks, "stamp", (*clerk).Stamp)
	hold   = actor.DefineMethod(clerks, "hold", (*clerk).Hold)
	end    = actor.DefineMethod(clerks, "end", (*clerk).End)
)

var offices = supervisor.Define("office", func(_ context.Context, f flag) (supervisor.Spec, error) {
	return supervisor.Spec{Children: []supervisor.Child{{Name: "front", Run: clerks.With(f)}}}, nil
})

// serve starts a tree and serves it.
func serve(t *testing.T, spec supervisor.Spec) (*supervisor.Tree, *httptest.Server) {
	t.Helper()
	leaktest.Check(t)
	tree, err := supervisor.Start(t.Context(), spec, supervisor.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tree.Stop(context.Background()) })
	srv := httptest.NewServer(observe.Handler(tree))
	t.Cleanup(func() { srv.Close(); http.DefaultClient.CloseIdleConnections() })
	return tree, srv
}

func get(t *testing.T, srv *httptest.Server, path string, header ...string) (int, string, http.Header) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", srv.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

// until waits until the endpoint answers with that status, and returns the body.
func until(t *testing.T, srv *httptest.Server, path string, want int) string {
	t.Helper()
	for {
		status, body, _ := get(t, srv, path)
		if status == want {
			return body
		}
		if t.Context().Err() != nil {
			t.Fatalf("%s: %d %s", path, status, body)
		}
	}
}

func TestHealthy(t *testing.T) {
	tree, srv := serve(t, supervisor.Spec{Children: []supervisor.Child{
		{Name: "clerk", Run: clerks.With(flag{})}, {Name: "own", Run: offices.With(flag{})},
	}})
	for _, path := range []string{"/livez", "/readyz"} {
		if status, body, _ := get(t, srv, path); status != 200 || body != "ok\n" {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	if err := tree.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if status, body, _ := get(t, srv, path); status != 503 || !strings.Contains(body, "stopped") {
			t.Errorf("%s of a tree that has ended: %d %q", path, status, body)
		}
	}
}

// A restart of milliseconds is none; a start that fails is, at once, and names the
// child and its error: also in another process.
func TestReadiness(t *testing.T) {
	at := t.TempDir() + "/flag"
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	slow := supervisor.Backoff{Min: time.Hour}
	tree, srv := serve(t, supervisor.Spec{Intensity: supervisor.Unlimited, Children: []supervisor.Child{
		{Name: "clerk", Run: clerks.With(flag{at}), Backoff: slow},
		{Name: "extra", Run: clerks.With(flag{}), Restart: supervisor.Temporary},
		{Name: "idle", Run: clerks.With(flag{})},
		{Name: "once", Run: clerks.With(flag{}), Restart: supervisor.Transient},
	}})
	c := clerks.Ref(tree, "clerk")
	if err := tree.KillChild(t.Context(), "clerk"); err != nil {
		t.Fatal(err)
	}
	if status, body, _ := get(t, srv, "/readyz"); status != 200 {
		t.Errorf("while it is restarted: %d %s", status, body)
	}
	if _, err := stamp.Call(t.Context(), c, "A 38"); err != nil {
		t.Fatal(err)
	}
	// What is stopped, temporary, or done is not missed.
	if err := errors.Join(tree.StopChild(t.Context(), "idle"), tree.KillChild(t.Context(), "extra")); err != nil {
		t.Fatal(err)
	}
	if _, err := end.Call(t.Context(), clerks.Ref(tree, "once"), 0); err == nil {
		t.Error("it has not ended")
	}
	if status, body, _ := get(t, srv, "/readyz"); status != 200 {
		t.Errorf("without those that are not missed: %d %s", status, body)
	}

	if err := errors.Join(os.Remove(at), tree.KillChild(t.Context(), "clerk")); err != nil {
		t.Fatal(err)
	}
	// The restart after the second end in a row waits for its back-off: for longer than the grace.
	body := until(t, srv, "/readyz", 503)
	if !strings.Contains(body, "/clerk: ") || strings.Count(body, "\n") != 1 {
		t.Errorf("not ready: %q", body)
	}
	if status, body, _ := get(t, srv, "/livez"); status != 200 {
		t.Errorf("alive: %d %s", status, body)
	}
}

// A child whose start fails is missed at once, one of another process as well.
func TestFailedStart(t *testing.T) {
	at := t.TempDir() + "/flag"
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tree, srv := serve(t, supervisor.Spec{Intensity: supervisor.Unlimited, Children: []supervisor.Child{{Name: "own", Run: supervisor.Spec{
		Intensity: supervisor.Unlimited, Children: []supervisor.Child{{Name: "clerk", Run: clerks.With(flag{at}), ReadyGrace: time.Hour}},
	}}}})
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	sub, err := tree.Supervisor("own")
	if err != nil {
		t.Fatal(err)
	}
	if err := sub.KillChild(t.Context(), "clerk"); err != nil {
		t.Fatal(err)
	}
	if body := until(t, srv, "/readyz", 503); !strings.Contains(body, "/own/clerk: ") || !strings.Contains(body, "no such file") {
		t.Errorf("not ready: %q", body)
	}
	if err := os.WriteFile(at, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	until(t, srv, "/readyz", 200)
}

// A process that is stopped is alive to the kernel, and not ready.
func TestSilentProcess(t *testing.T) {
	_, srv := serve(t, supervisor.Spec{Children: []supervisor.Child{
		{Name: "clerk", Run: clerks.With(flag{})}, {Name: "own", Run: offices.With(flag{})},
	}})
	pid := pidOf(t, srv, "/own/front")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	if body := until(t, srv, "/readyz", 503); !strings.Contains(body, "/own/front") || strings.Contains(body, "/clerk") {
		t.Errorf("not ready: %q", body)
	}
	_, body, _ := get(t, srv, "/metrics")
	if m := parse(t, body, false); m[`understudy_silent_processes`] != 1 || m[`understudy_mailbox_messages{path="/clerk",kind="clerk"}`] != 0 {
		t.Errorf("%s", body)
	}
	if strings.Contains(body, `understudy_mailbox_messages{path="/own/front"`) || !strings.Contains(body, `understudy_process_resident_memory_bytes{path="/own/front"`) {
		t.Errorf("of a silent process\n%s", body)
	}
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	until(t, srv, "/readyz", 200)
}

type node struct {
	Path     string
	PID      int
	State    string
	Children []node
}

func (n node) find(path string) *node {
	if n.Path == path {
		return &n
	}
	for _, c := range n.Children {
		if f := c.find(path); f != nil {
			return f
		}
	}
	return nil
}

func pidOf(t *testing.T, srv *httptest.Server, path string) int {
	t.Helper()
	_, body, _ := get(t, srv, "/tree")
	var root node
	if err := json.Unmarshal([]byte(body), &root); err != nil {
		t.Fatal(err)
	}
	n := root.find(path)
	if n == nil || n.PID == 0 {
		t.Fatalf("no process of %s in %s", path, body)
	}
	return n.PID
}

func TestTree(t *testing.T) {
	_, srv := serve(t, supervisor.Spec{Children: []supervisor.Child{
		{Name: `a"<b>`, Run: clerks.With(flag{}), Process: actor.Process{Env: []string{"SECRET=hunter2"}}},
		{Name: "own", Run: offices.With(flag{})},
	}})
	status, body, header := get(t, srv, "/tree")
	if status != 200 || header.Get("Content-Type") != "application/json" || strings.Contains(body, "hunter2") {
		t.Errorf("%d %v %s", status, header, body)
	}
	if pidOf(t, srv, "/own/front") == pidOf(t, srv, "/own") {
		t.Error("one process")
	}
	_, body, _ = get(t, srv, "/tree?format=mermaid")
	if !strings.HasPrefix(body, "flowchart LR\n") || strings.Count(body, "-->") != 3 || !strings.Contains(body, "a#quot;#lt;b#gt;") || !strings.Contains(body, "front<br>clerk<br>pid ") {
		t.Errorf("%s", body)
	}
	if status, _, _ := get(t, srv, "/tree?format=x"); status != 400 {
		t.Error(status)
	}
	if status, _, _ := get(t, srv, "/tree?"+strings.Repeat("x", 2000)); status != 414 {
		t.Error(status)
	}
}

// parse checks the text format and returns the samples.
func parse(t *testing.T, text string, openMetrics bool) map[string]float64 {
	t.Helper()
	samples := make(map[string]float64)
	types := make(map[string]string)
	line := regexp.MustCompile(`^([a-z_]+)(\{(?:[a-z_]+="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (\S+)$`)
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, l := range lines {
		switch {
		case l == "# EOF":
			if !openMetrics || i != len(lines)-1 {
				t.Errorf("EOF in line %d of %d", i+1, len(lines))
			}
		case strings.HasPrefix(l, "# HELP "):
		case strings.HasPrefix(l, "# TYPE "):
			f := strings.Fields(l)
			if types[f[2]] != "" {
				t.Errorf("%s has two types", f[2])
			}
			types[f[2]] = f[3]
		default:
			m := line.FindStringSubmatch(l)
			if m == nil {
				t.Fatalf("line %d is no sample: %q", i+1, l)
			}
			v, err := strconv.ParseFloat(m[3], 64)
			if err != nil {
				t.Errorf("%q: %v", l, err)
			}
			if _, twice := samples[m[1]+m[2]]; twice {
				t.Errorf("twice: %s", l)
			}
			samples[m[1]+m[2]] = v
			family := m[1]
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				if f := strings.TrimSuffix(m[1], suffix); types[f] == "histogram" {
					family = f
				}
			}
			if openMetrics {
				family = strings.TrimSuffix(family, "_total")
			}
			if types[family] == "" {
				t.Errorf("no type of %s", l)
			}
		}
	}
	if openMetrics && lines[len(lines)-1] != "# EOF" {
		t.Error("no EOF")
	}
	return samples
}

// The metrics are those of all processes, and count what the killer did: also what
// was added at run time, in one series.
func TestMetrics(t *testing.T) {
	tree, srv := serve(t, supervisor.Spec{Intensity: supervisor.Unlimited, Children: []supervisor.Child{
		{Name: "clerk", Run: clerks.With(flag{}), Process: actor.Process{Memory: 64 << 20}},
		{Name: "own", Run: offices.With(flag{})},
		{Name: "many", Run: supervisor.Spec{Intensity: supervisor.Unlimited, Strategy: supervisor.Dynamic}},
	}})
	ctx := t.Context()
	many, err := tree.Supervisor("many")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"x1", "x2", "x3"} {
		if err := many.StartChild(ctx, supervisor.Child{Name: name, Run: clerks.With(flag{})}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := errors.Join(tree.KillChild(ctx, "clerk"), many.KillChild(ctx, "x2")); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"clerk", "many/x2"} {
			if _, err := stamp.Call(ctx, clerks.Ref(tree, path), "A 38"); err != nil {
				t.Fatal(err)
			}
		}
	}
	front := clerks.Ref(tree, "own/front")
	if _, err := end.Call(ctx, front, 7); err == nil {
		t.Error("it has not ended")
	}
	if _, err := stamp.Call(ctx, front, "B 52"); err != nil {
		t.Fatal(err)
	}
	for _, accept := range []string{"", "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"} {
		_, body, header := get(t, srv, "/metrics", "Accept", accept)
		if open := accept != ""; open != strings.HasPrefix(header.Get("Content-Type"), "application/openmetrics-text") {
			t.Errorf("%q: %v", accept, header)
		}
		m := parse(t, body, accept != "")
		for name, want := range map[string]float64{
			`understudy_up{path="/clerk",kind="clerk"}`:                                    1,
			`understudy_up{path="/own/front",kind="clerk"}`:                                1,
			`understudy_up{path="/many/*",kind="clerk"}`:                                   3,
			`understudy_children{path="/many/*",kind="clerk"}`:                             3,
			`understudy_restarts_total{path="/clerk",kind="clerk",reason="signal"}`:        3,
			`understudy_restarts_total{path="/many/*",kind="clerk",reason="signal"}`:       3,
			`understudy_restarts_total{path="/own/front",kind="clerk",reason="exit code"}`: 1,
			`understudy_exits_total{path="/own/front",kind="clerk",reason="exit code"}`:    1,
			`understudy_memory_limit_bytes{path="/clerk",kind="clerk"}`:                    64 << 20,
			`understudy_spawn_seconds_count{kind="clerk"}`:                                 12,
			`understudy_spawn_seconds_bucket{kind="clerk",le="+Inf"}`:                      12,
			`understudy_array_bytes{path="/own/front",kind="clerk",mode="frozen"}`:         0,
			`understudy_silent_processes`:                                                  0,
			`understudy_dead_letters_total`:                                                0,
		} {
			if got, ok := m[name]; !ok || got != want {
				t.Errorf("%s is %v (%v), want %v", name, got, ok, want)
			}
		}
		if t.Failed() {
			t.Logf("%s", body)
		}
	}
}

// Any actor's profiles come through the root.
func TestProfiles(t *testing.T) {
	tree, srv := serve(t, supervisor.Spec{Children: []supervisor.Child{
		{Name: "own", Run: offices.With(flag{})},
		{Name: "here", Run: clerks.With(flag{}), InProcess: true},
	}})
	ctx, cancel := context.WithCancel(t.Context())
	held := hold.Go(ctx, clerks.Ref(tree, "own/front"), "")
	defer func() { cancel(); _, _ = held.Result() }()
	until(t, srv, "/readyz", 200)
	for {
		_, body, _ := get(t, srv, "/debug/actors/own/front/pprof/goroutine?debug=1")
		if strings.Contains(body, "observe_test.(*clerk).Hold") || strings.Contains(body, "observe_test.clerk.Hold") {
			break
		}
		if t.Context().Err() != nil {
			t.Fatal(body)
		}
	}
	for _, path := range []string{"/own/front", "/own", "/here", ""} {
		status, body, header := get(t, srv, "/debug/actors"+path+"/pprof/heap?gc=1")
		if status != 200 || !bytes.HasPrefix([]byte(body), []byte{0x1f, 0x8b}) {
			t.Errorf("%q: %d %v %.100q", path, status, header, body)
		}
	}
	if status, body, _ := get(t, srv, "/debug/actors/own/front/pprof/profile?seconds=0"); status != 200 || len(body) == 0 {
		t.Errorf("%d %.100q", status, body)
	}
	for path, want := range map[string]int{
		"/debug/actors/nobody/pprof/heap": 404, "/debug/actors/own/front/pprof/nothing": 404, "/debug/actors/own/front": 404,
		"/debug/actors/own/front/pprof/profile?seconds=9999": 400, "/debug/actors/own/front/pprof/heap?debug=x": 400,
	} {
		if status, body, _ := get(t, srv, path); status != want {
			t.Errorf("%s: %d %s, want %d", path, status, body, want)
		}
	}
}

// Requests beyond what is served at once are refused, and a probe of another
// endpoint is served meanwhile.
func TestTooManyRequests(t *testing.T) {
	_, srv := serve(t, supervisor.Spec{Children: []supervisor.Child{{Name: "clerk", Run: clerks.With(flag{})}}})
	pid := pidOf(t, srv, "/clerk")
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	statuses := make(chan int)
	const n = 20
	for range n {
		go func() {
			resp, err := http.Get(srv.URL + "/metrics")
			if err != nil {
				statuses <- 0
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
			_ = resp.Body.Close()
			statuses <- resp.StatusCode
		}()
	}
	got := make(map[int]int)
	for i := range n {
		got[<-statuses]++
		if i == 0 {
			if status, _, _ := get(t, srv, "/livez"); status != 200 {
				t.Errorf("/livez: %d", status)
			}
		}
	}
	if got[200] == 0 || got[503] == 0 || got[200]+got[503] != n {
		t.Errorf("%v", got)
	}
}
