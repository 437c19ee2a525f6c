// Package leaktest makes a test fail if it leaves anything behind: processes and zombies, descriptors, goroutines,
// memory-file mappings, names in /dev/shm, control groups or files in the temporary directory.
package leaktest

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"
)

// patience is how long things may take to disappear after a test: a goroutine that was told to end has not
// necessarily ended, a process that was killed has not necessarily gone.
var patience = 3 * time.Second

// markName is the environment entry by which a descendant is recognised when it has changed its parent and session.
const markName = "LEAKTEST_ID"

// Check records what there is now and fails t, when t and its later-registered cleanups have ended, for everything
// there is more of. Call it first. It gives the test a temporary directory of its own (TMPDIR) and marks the
// environment that children inherit, so a test that uses it cannot be parallel. What other tests of the same binary
// run beside it would be blamed on it.
func Check(t testing.TB) {
	t.Helper()
	dir, err := os.MkdirTemp("", "leaktest-")
	if err != nil {
		t.Fatalf("leaktest: %v", err)
	}
	mark := rand.Text()
	t.Setenv("TMPDIR", dir)
	t.Setenv(markName, mark)
	warm(t)
	before := take(dir, mark)
	t.Cleanup(func() {
		t.Helper()
		leaks := settle(before, func() snapshot { return take(dir, mark) })
		if err := os.RemoveAll(dir); err != nil {
			t.Errorf("leaktest: %v", err)
		}
		if len(leaks) > 0 {
			t.Errorf("leaktest: the test left behind:\n%s", strings.Join(leaks, "\n"))
		}
	})
}

// warm makes what the runtime opens once and for all (its epoll instance and the eventfd in it) part of the
// beginning, so that eventfds of the code under test can be counted.
func warm(t testing.TB) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatalf("leaktest: %v", err)
	}
	_ = r.SetReadDeadline(time.Now())
	_ = r.Close()
	_ = w.Close()
}

// snapshot maps each kind of thing to the things there are, by a key that is stable while they live.
type snapshot map[kind]map[string]item

type kind string

const (
	kindProcess   kind = "process"
	kindFile      kind = "descriptor"
	kindGoroutine kind = "goroutine"
	kindMapping   kind = "bytes of mapped memory files"
	kindShm       kind = "name in /dev/shm"
	kindTemp      kind = "temporary file"
	kindGroup     kind = "control group"
)

// item is how much there is of a thing, and how it is described in a report.
type item struct {
	count  int64
	detail string
}

// take looks at everything.
func take(dir, mark string) snapshot {
	s := snapshot{}
	s.takeGoroutines()
	s.takeSystem(mark)
	s.takeTemp(dir)
	return s
}

func (s snapshot) add(k kind, key string, n int64, detail string) {
	if s[k] == nil {
		s[k] = map[string]item{}
	}
	it := s[k][key]
	it.count += n
	it.detail = detail
	s[k][key] = it
}

// settle compares until nothing is left too much or patience is at its end, and returns a line per leak.
func settle(before snapshot, now func() snapshot) []string {
	deadline := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 50*time.Millisecond) {
		leaks := compare(before, now())
		if len(leaks) == 0 || time.Now().After(deadline) {
			return leaks
		}
		time.Sleep(pause) // the end of foreign processes and goroutines has no event to wait for here
	}
}

func compare(before, after snapshot) []string {
	var leaks []string
	for k, items := range after {
		for key, it := range items {
			if more := it.count - before[k][key].count; more > 0 {
				leaks = append(leaks, fmt.Sprintf("  %d %s: %s", more, k, it.detail))
			}
		}
	}
	sort.Strings(leaks)
	return leaks
}

func (s snapshot) takeTemp(dir string) {
	// A walk error is a file that just went.
	_ = filepath.WalkDir(dir, func(path string, _ os.DirEntry, _ error) error {
		if path != dir {
			s.add(kindTemp, path, 1, path)
		}
		return nil
	})
}
