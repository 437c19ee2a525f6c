package process

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
)

func init() {
	// A helper that asks the terminal; its group would be stopped if it had one.
	orders["ask-terminal"] = func(how string) string {
		script := map[string]string{"read": "read x </dev/tty", "write": "stty tostop </dev/tty && echo x >/dev/tty", "stty": "stty -F /dev/tty sane"}[how]
		if err := exec.Command("sh", "-c", script).Run(); err != nil {
			return "failed"
		}
		return "has a terminal"
	}
	roles["shell"] = asShell
	roles["root on a terminal"] = asRootOnATerminal
}

// asShell leads the terminal's session and runs the root as its foreground job, as a shell does: it says what becomes
// of the job, and brings a stopped one back.
func asShell() int {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envRole+"=root on a terminal")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Foreground: true, Ctty: 0}
	if err := cmd.Start(); err != nil {
		fmt.Println("start:", err)
		return 1
	}
	for {
		var ws unix.WaitStatus
		if _, err := unix.Wait4(cmd.Process.Pid, &ws, unix.WUNTRACED, nil); err == unix.EINTR {
			continue
		} else if err != nil {
			fmt.Println("wait:", err)
			return 1
		}
		if !ws.Stopped() {
			return ws.ExitStatus()
		}
		fmt.Println("stopped by", ws.StopSignal())
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGCONT)
	}
}

// asRootOnATerminal has a child and says what it does, one line for each line it reads.
func asRootOnATerminal() int {
	parent, child, err := SocketPair()
	if err != nil {
		return 1
	}
	cmd := role("servant")
	cmd.Files = []*os.File{child}
	p, err := Start(context.Background(), cmd)
	if err != nil {
		fmt.Println("start:", err)
		return 1
	}
	_ = child.Close()
	answers := bufio.NewScanner(parent)
	fmt.Println("child", p.PID())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if in.Text() == "end" {
			return 7
		}
		_, _ = fmt.Fprintln(parent, in.Text())
		answers.Scan()
		fmt.Println("answer:", answers.Text())
	}
	return 1
}

// openTerminal returns the two sides of a new pseudo-terminal.
func openTerminal(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs pseudo-terminals: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	if err := unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile("/dev/pts/"+strconv.Itoa(n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("needs /dev/pts: %v", err)
	}
	return master, slave
}

// Below the root there is no terminal that could stop anything; the root's own job control goes on working.
func TestNoControllingTerminalBelowTheRoot(t *testing.T) {
	leaktest.Check(t)
	master, slave := openTerminal(t)
	shell := exec.Command("/proc/self/exe")
	shell.Env = append(os.Environ(), envRole+"=shell", "GORACE=atexit_sleep_ms=0")
	shell.Stdin, shell.Stdout, shell.Stderr = slave, slave, slave
	shell.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true, Pdeathsig: syscall.SIGKILL}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close()
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for in := bufio.NewScanner(master); in.Scan(); {
			lines <- strings.TrimSpace(in.Text())
		}
	}()
	heard := func(prefix string) string { // the terminal echoes what is typed: look for the line
		for {
			select {
			case line, open := <-lines:
				if i := strings.Index(line, prefix); i >= 0 {
					return line[i+len(prefix):]
				} else if !open {
					t.Fatalf("no %q", prefix)
				}
			case <-bounded(t).Done():
				t.Fatalf("waited in vain for %q", prefix)
			}
		}
	}
	typed := func(text string) {
		if _, err := master.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	pid, err := strconv.Atoi(heard("child "))
	if err != nil {
		t.Fatal(err)
	}
	child := watchPID(t, pid)
	for _, how := range []string{"read", "write", "stty"} {
		typed("ask-terminal " + how + "\n")
		if got := heard("answer: "); got != "failed" {
			t.Errorf("%s: a helper of the child %s", how, got)
		}
	}
	typed("\x1a") // ^Z
	if got := heard("stopped by "); got != "stopped" {
		t.Errorf("^Z: %s", got)
	}
	typed("ping\n") // the shell has brought it back
	if got := heard("answer: "); got != "pong" {
		t.Errorf("after ^Z and fg: %s", got)
	}
	typed("end\n")
	if err := shell.Wait(); shell.ProcessState.ExitCode() != 7 {
		t.Errorf("%v", err)
	}
	child.dead()
	for range lines { // until the terminal hangs up
	}
}
