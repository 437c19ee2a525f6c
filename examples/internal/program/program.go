// Package program runs an example in its tests as a user runs it: as a program
// of its own, with flags, signals, output and an exit status. The program is
// the test binary itself, started again, so that nothing has to be built.
package program

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
)

// runMain in the environment makes the test binary the program. The program's
// actors inherit it, and come to main and actor.Main in the same way.
const runMain = "UNDERSTUDY_EXAMPLE_MAIN"

// Main is for the TestMain of an example. It runs main if the test binary was
// started by [Start]; otherwise the tests, as actor.TestMain does.
func Main(m *testing.M, main func()) {
	if os.Getenv(runMain) != "" {
		main()
		os.Exit(0)
	}
	actor.TestMain(m)
}

// patience is how long a program may be silent before a test gives up.
const patience = 60 * time.Second

// Program is an example that runs.
type Program struct {
	t     testing.TB
	cmd   *exec.Cmd
	lines chan string   // of standard output
	done  chan struct{} // closed when it was reaped

	mu     sync.Mutex
	output strings.Builder // both streams, for the report of a failed test
}

// Start runs the program with the given arguments. What is left of it at the
// end of the test is killed.
func Start(t testing.TB, args ...string) *Program {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &Program{t: t, cmd: exec.Command(exe, args...), lines: make(chan string, 1<<16), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), runMain+"=1")
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var readers sync.WaitGroup
	readers.Go(func() {
		defer close(p.lines)
		p.read(stdout, p.lines)
	})
	readers.Go(func() { p.read(stderr, nil) })
	go func() {
		defer close(p.done)
		readers.Wait()
		_ = p.cmd.Wait() // its outcome is in ProcessState
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has usually ended
		<-p.done
		if t.Failed() {
			t.Logf("output of %s %s:\n%s", t.Name(), strings.Join(args, " "), p.Output())
		}
	})
	return p
}

func (p *Program) read(r io.Reader, lines chan<- string) {
	for s := bufio.NewScanner(r); s.Scan(); {
		p.mu.Lock()
		p.output.WriteString(s.Text() + "\n")
		p.mu.Unlock()
		if lines != nil {
			lines <- s.Text()
		}
	}
}

// PID returns the process id of the program.
func (p *Program) PID() int { return p.cmd.Process.Pid }

// Output returns all that the program has printed so far.
func (p *Program) Output() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.output.String()
}

// Line waits for the next line of standard output that contains all the texts.
// What does not is passed over.
func (p *Program) Line(texts ...string) string {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the program ended without printing %q", texts)
			}
			if !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(line, text) }) {
				return line
			}
		case <-ctx.Done():
			p.t.Fatalf("the program did not print %q within %v", texts, patience)
		}
	}
}

// Signal sends a signal to the program alone.
func (p *Program) Signal(s os.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// Wait waits for the end of the program and returns its exit status, -1 if a
// signal ended it.
func (p *Program) Wait() int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(patience):
		p.t.Fatalf("the program did not end within %v", patience)
		return 0
	}
}
