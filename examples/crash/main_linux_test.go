//go:build cgo

package main

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/understudy-go/understudy/examples/internal/program"
	"github.com/understudy-go/understudy/internal/leaktest"
)

func TestMain(m *testing.M) { program.Main(m, main) }

func TestCrash(t *testing.T) {
	leaktest.Check(t)
	p := program.Start(t)
	for _, want := range []string{
		`^42 <nil>$`,
		`^0 call decode to /video: actor /video \(pid \d+\) ended: signal \(segmentation fault\); message begun: yes; stderr: decoder: lost the frame$`,
		`^42 <nil>$`,
	} {
		if line := p.Line(""); !regexp.MustCompile(want).MatchString(line) {
			t.Errorf("%q is not %s", line, want)
		}
	}
	if code := p.Wait(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// The README opens with this program, which has 40 lines at most.
func TestReadmeShowsTheProgram(t *testing.T) {
	source, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(source), "\n"); n > 40 {
		t.Errorf("main.go has %d lines", n)
	}
	if !strings.Contains(string(readme), "```go\n"+string(source)+"```\n") {
		t.Error("README.md shows another program")
	}
}
