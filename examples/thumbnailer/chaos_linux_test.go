package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"image/jpeg"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/examples/internal/program"
	"github.com/understudy-go/understudy/internal/leaktest"
)

const (
	killInterval = 400 * time.Millisecond
	shortChaos   = 5 * time.Second
	longChaos    = time.Minute // with UNDERSTUDY_LONG in the environment
	chaosClients = 4
)

// TestChaos: one of the service's processes, whichever it is, is killed every
// 400 ms under load. Every request has its answer; each kill costs at most the
// one request that the killed worker had in its hands, which is told so; all
// others get what they would have got in peace.
func TestChaos(t *testing.T) {
	leaktest.Check(t)
	duration := shortChaos
	if os.Getenv("UNDERSTUDY_LONG") != "" {
		duration = longChaos
	}
	requests := chaosRequests(t)
	p, s := serveProgram(t)
	ctx, cancel := context.WithTimeout(t.Context(), duration)
	defer cancel()

	results := make([]tally, chaosClients)
	var clients sync.WaitGroup
	for i := range results {
		clients.Go(func() {
			for ctx.Err() == nil {
				results[i].ask(t, s, requests[rand.IntN(len(requests))])
			}
		})
	}
	kills := killDescendants(ctx, t, p)
	clients.Wait()

	var sum tally
	for _, r := range results {
		sum.add(r)
	}
	t.Logf("%v, %d kills: %d requests answered, %d failed", duration, kills, sum.answered, sum.failed)
	if sum.failed > kills {
		t.Errorf("%d requests failed by %d kills", sum.failed, kills)
	}
	if sum.answered == 0 || kills == 0 {
		t.Error("nothing happened")
	}
	for _, r := range requests { // all is well again
		var after tally
		if after.ask(t, s, r); after.failed > 0 {
			t.Error("a request failed when nobody was killed any more")
		}
	}
	waitHealthy(t, s)
	http.DefaultClient.CloseIdleConnections()
	p.Signal(syscall.SIGTERM)
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// killDescendants kills a process of the program every 400 ms until ctx ends,
// and returns how many it has killed.
func killDescendants(ctx context.Context, t *testing.T, p *program.Program) (kills int) {
	tick := time.NewTicker(killInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return kills
		case <-tick.C:
		}
		if all := p.Descendants(); len(all) > 0 {
			if err := syscall.Kill(all[rand.IntN(len(all))], syscall.SIGKILL); err != nil && err != syscall.ESRCH {
				t.Error(err)
			}
			kills++
		}
	}
}

// chaosRequest is a request with the answer that it would get in peace.
type chaosRequest struct {
	path   string
	data   []byte
	status int
	body   []byte
}

func chaosRequests(t *testing.T) []chaosRequest {
	t.Helper()
	var requests []chaosRequest
	add := func(data []byte, width int) {
		requests = append(requests, chaosRequest{fmt.Sprintf("/thumb?w=%d", width), data, http.StatusOK, expected(t, data, width)})
	}
	for i, name := range []string{"video-001.png", "video-001.jpeg", "video-001.gif", "video-001.progressive.jpeg", "video-005.gray.png"} {
		add(testdata(t, name), 16<<(i%3))
	}
	var large bytes.Buffer
	if err := jpeg.Encode(&large, randomRaster(1, 1200, 800).rgba(), nil); err != nil {
		t.Fatal(err)
	}
	add(large.Bytes(), 128)
	corrupt := testdata(t, "video-001.png")[:1000]
	_, _, err := image.Decode(bytes.NewReader(corrupt))
	return append(requests, chaosRequest{"/thumb", corrupt, http.StatusUnprocessableEntity, fmt.Appendf(nil, "%v: %v\n", errImage, err)})
}

// tally counts what became of requests.
type tally struct{ answered, failed int }

func (n *tally) add(m tally) { n.answered, n.failed = n.answered+m.answered, n.failed+m.failed }

// ask makes a request and checks that its answer is the right one, or says
// that a worker was killed with it in its hands.
func (n *tally) ask(t *testing.T, s site, r chaosRequest) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*requestTimeout)
	defer cancel()
	a := post(ctx, s.url+r.path, r.data)
	switch {
	case a.err != nil:
		t.Errorf("a request without an answer: %v", a.err)
	case a.status == http.StatusBadGateway:
		n.failed++
		if text := string(a.body); !strings.Contains(text, "signal (killed)") || !strings.Contains(text, "begun: yes") {
			t.Errorf("a request failed otherwise: %s", text)
		}
	case a.status != r.status || !bytes.Equal(a.body, r.body):
		t.Errorf("status %d, want %d; %d bytes, want %d: %.200s", a.status, r.status, len(a.body), len(r.body), a.body)
	}
	n.answered++
}

// waitHealthy asks for the service's health until all workers are running.
func waitHealthy(t *testing.T, s site) {
	t.Helper()
	for {
		resp, err := http.Get(s.url + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		var health struct{ Workers []Worker }
		err = json.NewDecoder(resp.Body).Decode(&health)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		running := 0
		for _, w := range health.Workers {
			if w.State == "running" {
				running++
			}
		}
		if running > 0 && running == len(health.Workers) {
			return
		}
	}
}
