package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/examples/internal/program"
	"github.com/understudy-go/understudy/internal/leaktest"
	"github.com/understudy-go/understudy/supervisor"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// expectResult waits for the next result of a worker and checks it.
func expectResult(t *testing.T, p *program.Program, path string) {
	t.Helper()
	line := p.Line(path+": calculation ", "the roots")
	var round int
	var sum float64
	if _, err := fmt.Sscanf(line, path+": calculation %d: the roots sum up to %f", &round, &sum); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	want := 0.0
	for i := range size {
		want += math.Sqrt(float64(round * i))
	}
	if fmt.Sprintf("%.1f", sum) != fmt.Sprintf("%.1f", want) {
		t.Errorf("%q: want a sum of %.1f", line, want)
	}
}

func TestCalculation(t *testing.T) {
	leaktest.Check(t)
	p := program.Start(t, "-pace=25ms", "-idle=10ms")
	for range 3 {
		expectResult(t, p, "/worker-1")
		expectResult(t, p, "/worker-2")
	}
	p.Line("tick")

	// A worker that is killed is replaced, works on with the same arrays, and
	// its colleague does not notice.
	pid := p.Actor("/worker-1")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	p.Line(fmt.Sprintf("/worker-1 (pid %d) ended: signal (killed)", pid))
	expectResult(t, p, "/worker-1")
	expectResult(t, p, "/worker-2")

	p.Signal(os.Interrupt)
	p.Line("stopping")
	p.Line("/worker-2 (pid ")
	p.Line("/worker-1 (pid ")
	p.Line("all stopped")
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if n := strings.Count(p.Output(), "ended: shutdown"); n != 2 {
		t.Errorf("%d workers ended in order, want 2", n)
	}
}

// TestWorker calls a worker without the loop around it.
func TestWorker(t *testing.T) {
	leaktest.Check(t)
	ctx := t.Context()
	d, err := newDesk(0)
	if err != nil {
		t.Fatal(err)
	}
	defer d.release()
	tree, err := supervisor.Start(ctx, supervisor.Spec{Children: []supervisor.Child{
		{Name: "quick", Run: workers.With(d)},
		{Name: "slow", Run: workers.With(desk{d.In, d.Out, time.Hour})},
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer tree.Stop(context.Background())

	quick := workers.Ref(tree, "quick")
	w := &Worker{Ref: quick, desk: d}
	w.Start(ctx)
	if sum, err := w.Result(); err != nil || sum == 0 {
		t.Errorf("sum %v, error %v", sum, err)
	}
	for i, y := range d.Out.Data() {
		if y != math.Sqrt(float64(i)) {
			t.Fatalf("the output array holds %v as the root of %d", y, i)
		}
	}

	// A calculation ends when its caller gives up.
	slow := workers.Ref(tree, "slow")
	short, cancel := context.WithCancel(ctx)
	w = &Worker{Ref: slow, desk: d}
	w.Start(short)
	cancel()
	if sum, err := w.Result(); err == nil {
		t.Errorf("a calculation of an hour ended with %v", sum)
	}
}
