package main

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/examples/internal/program"
	"github.com/understudy-go/understudy/internal/leaktest"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestPingPong(t *testing.T) {
	leaktest.Check(t)
	p := program.Start(t)
	for i := 1; i <= 3; i++ {
		line := p.Line("ping")
		var ping, frontend, pong, backend int
		if _, err := fmt.Sscanf(line, "ping %d from process %d: pong %d from process %d", &ping, &frontend, &pong, &backend); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if ping != i || pong != i || frontend != p.PID() || backend == p.PID() || backend == 0 {
			t.Errorf("%q is not ping %d of process %d and the pong of another", line, i, p.PID())
		}
	}
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestAtMostFortyLines(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n"); n > 40 {
		t.Errorf("main.go has %d lines", n)
	}
}
