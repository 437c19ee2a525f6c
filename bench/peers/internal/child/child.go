// Package child runs the other side of a row: this program once more, in a role,
// or any other program. Whatever it starts is killed when this process dies,
// however it dies.
package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a child.
type Process struct {
	cmd    *exec.Cmd
	stderr tail
	done   chan struct{} // closed when it has ended
	end    func()        // asks it to end
}

// Bind has the kernel kill the command's process when this one dies.
//
// The signal is sent when the thread that started the process ends. Go ends
// threads only where a goroutine ends that is locked to one, and no such
// goroutine starts anything here.
func Bind(cmd *exec.Cmd) *exec.Cmd {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	return cmd
}

// Start starts a command. end asks it to end, usually by closing what it reads
// from; a process that does not is killed.
func Start(cmd *exec.Cmd, end func()) (*Process, error) {
	p := &Process{cmd: Bind(cmd), done: make(chan struct{}), end: end}
	cmd.Stderr = &p.stderr
	cmd.WaitDelay = time.Second // for grandchildren that hold standard error
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // Err tells it
	}()
	return p, nil
}

// PID returns its process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended reports whether the process is gone. Whoever spins asks it now and then.
func (p *Process) Ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// Err explains an error in talking to the process: what it last wrote, if it
// ended.
func (p *Process) Err(err error) error {
	select {
	case <-p.done:
	case <-time.After(100 * time.Millisecond): // a broken pipe comes before the end of a process
		return err
	}
	return errors.Join(err, fmt.Errorf("%s: %v: %s", p.cmd.Path, p.cmd.ProcessState, p.stderr.String()))
}

// Stop ends the process and waits until it is gone.
func (p *Process) Stop() {
	p.end()
	select {
	case <-p.done:
	case <-time.After(2 * time.Second):
		_ = p.cmd.Process.Signal(os.Kill) // it may just have ended
		<-p.done
	}
}

// tail keeps the last that was written.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf.Write(b)
	if extra := t.buf.Len() - 4<<10; extra > 0 {
		t.buf.Next(extra)
	}
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(t.buf.String())
}
