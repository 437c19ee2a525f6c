//go:build cgo

package main

import (
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/examples/internal/program"
	"github.com/understudy-go/understudy/internal/leaktest"
)

func TestMain(m *testing.M) { program.Main(m, main) }

// Each bad input costs one request; the good ones beside it are answered.
func TestCrashy(t *testing.T) {
	leaktest.Check(t)
	p := program.Start(t)
	url := "http://" + strings.TrimSpace(strings.TrimPrefix(p.Line("listening"), "listening on "))
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	post := func(in string) (int, string) {
		r, err := client.Post(url+"/decode", "", strings.NewReader(in))
		if err != nil {
			t.Error(err)
			return 0, ""
		}
		defer r.Body.Close()
		text, _ := io.ReadAll(r.Body)
		return r.StatusCode, string(text)
	}
	for in, want := range map[string]struct {
		status int
		text   string
	}{
		"!": {http.StatusUnprocessableEntity, "segmentation violation"},
		"?": {http.StatusUnprocessableEntity, "exit code 7"},
		"~": {http.StatusServiceUnavailable, "deadline exceeded"},
		"+": {http.StatusOK, "43\n"},
	} {
		var wait sync.WaitGroup
		wait.Go(func() {
			if status, text := post(in); status != want.status || !strings.Contains(strings.ToLower(text), want.text) {
				t.Errorf("%q: %d %s", in, status, text)
			}
		})
		for range 8 {
			wait.Go(func() {
				if status, text := post("ab"); status != http.StatusOK || text != "3105\n" {
					t.Errorf("beside %q: %d %s", in, status, text)
				}
			})
		}
		wait.Wait()
	}
	if r, err := client.Get(url + "/healthz"); err != nil || r.StatusCode != http.StatusOK {
		t.Errorf("%v %v", r, err)
	} else {
		r.Body.Close()
	}
	_ = syscall.Kill(p.PID(), syscall.SIGTERM)
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestAtMostHundredLines(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n"); n > 100 {
		t.Errorf("main.go has %d lines", n)
	}
}
