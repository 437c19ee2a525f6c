package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/understudy-go/understudy/bench/peers/internal/child"
)

// TestNothingIsLeft ends a benchmark in the middle of a round, in each way, and
// finds none of the processes that it had started.
func TestNothingIsLeft(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGKILL, syscall.SIGINT} {
		t.Run(sig.String(), func(t *testing.T) {
			cookie := fmt.Sprintf("PEERS_TEST_COOKIE=%d-%d", os.Getpid(), time.Now().UnixNano())
			cmd := child.Bind(child.Role("benchmark"))
			cmd.Env = append(cmd.Env, cookie, "TMPDIR="+t.TempDir())
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			for lines := bufio.NewScanner(stderr); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "round 2 of") {
					break
				}
			}
			if n := len(carriers(t, cookie)); n < 5 {
				t.Errorf("only %d processes are measured", n)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			stderr.Close() // it has no more to say
			_ = cmd.Wait() // it was interrupted
			left := carriers(t, cookie)
			for deadline := time.Now().Add(20 * time.Second); len(left) > 0 && time.Now().Before(deadline); left = carriers(t, cookie) {
				time.Sleep(10 * time.Millisecond) // nobody tells when orphans end
			}
			if len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

// carriers lists the processes that have the cookie in their environment.
func carriers(t *testing.T, cookie string) []string {
	paths, err := filepath.Glob("/proc/[0-9]*/environ")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, path := range paths {
		if env, err := os.ReadFile(path); err == nil && bytes.Contains(env, []byte(cookie)) {
			name, _ := os.ReadFile(filepath.Join(filepath.Dir(path), "cmdline"))
			found = append(found, strings.ReplaceAll(string(name), "\x00", " "))
		}
	}
	return found
}
