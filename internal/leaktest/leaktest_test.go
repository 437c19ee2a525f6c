package leaktest

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// probe is a testing.TB that keeps what is said to it, and whose end can be called.
type probe struct {
	testing.TB // only for the methods not needed here
	t          *testing.T
	report     string
	cleanups   []func()
}

func (p *probe) Helper()                  {}
func (p *probe) Setenv(key, value string) { p.t.Setenv(key, value) }
func (p *probe) Cleanup(f func())         { p.cleanups = append(p.cleanups, f) }
func (p *probe) Errorf(format string, args ...any) {
	p.report += fmt.Sprintf(format, args...)
}
func (p *probe) Fatalf(format string, args ...any) { p.t.Fatalf(format, args...) }

// check runs body under Check and returns the report.
func check(t *testing.T, body func(p *probe)) string {
	t.Helper()
	p := &probe{t: t}
	Check(p)
	body(p)
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
	return p.report
}

// impatient makes a real leak be reported soon.
func impatient(t *testing.T) {
	old := patience
	patience = 30 * time.Millisecond
	t.Cleanup(func() { patience = old })
}

func mustReport(t *testing.T, report string, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(report, w) {
			t.Errorf("report lacks %q: %q", w, report)
		}
	}
}

func TestCleanTestPasses(t *testing.T) {
	report := check(t, func(p *probe) {
		f, err := os.CreateTemp("", "kept-until-cleanup")
		if err != nil {
			t.Fatal(err)
		}
		release := make(chan struct{})
		go func() { <-release }()
		p.Cleanup(func() { // registered after Check, so it runs before the comparison
			close(release)
			_ = f.Close()
			_ = os.Remove(f.Name())
		})
	})
	if report != "" {
		t.Errorf("a clean test was blamed: %s", report)
	}
}

func TestGoroutineLeak(t *testing.T) {
	impatient(t)
	release := make(chan struct{})
	ended := make(chan struct{})
	report := check(t, func(*probe) {
		go func() { defer close(ended); <-release }()
	})
	close(release)
	<-ended
	mustReport(t, report, "1 goroutine", "TestGoroutineLeak")
}

func TestGoroutineThatIsEndingIsNotALeak(t *testing.T) {
	polled := 0
	before := snapshot{}
	leaks := settle(before, func() snapshot {
		s := snapshot{}
		if polled++; polled < 4 {
			s.add(kindGoroutine, "goroutine 1", 1, "still ending")
		}
		return s
	})
	if len(leaks) != 0 || polled != 4 {
		t.Errorf("after %d looks: %v", polled, leaks)
	}
}

func TestTempFileLeak(t *testing.T) {
	impatient(t)
	var dir string
	report := check(t, func(*probe) {
		dir = os.TempDir()
		f, err := os.CreateTemp("", "left-behind")
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
	})
	mustReport(t, report, "1 temporary file", "left-behind")
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("the private temporary directory is left: %v", err)
	}
}
