package leaktest

import (
	"bufio"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestFileLeak(t *testing.T) {
	impatient(t)
	var r, w *os.File
	report := check(t, func(*probe) {
		var err error
		if r, w, err = os.Pipe(); err != nil {
			t.Fatal(err)
		}
	})
	_, _ = r.Close(), w.Close()
	mustReport(t, report, "2 descriptor", "pipe:[")
}

func TestEventfdLeak(t *testing.T) {
	impatient(t)
	var fd int
	report := check(t, func(*probe) {
		var err error
		if fd, err = unix.Eventfd(0, unix.EFD_CLOEXEC); err != nil {
			t.Fatal(err)
		}
	})
	_ = unix.Close(fd)
	mustReport(t, report, "1 descriptor", "eventfd")
}

func TestMappingLeak(t *testing.T) {
	impatient(t)
	var mapped []byte
	report := check(t, func(*probe) {
		fd, err := unix.MemfdCreate("leaktest", unix.MFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		if err := unix.Ftruncate(fd, 8192); err != nil {
			t.Fatal(err)
		}
		if mapped, err = unix.Mmap(fd, 0, 8192, unix.PROT_READ, unix.MAP_SHARED); err != nil {
			t.Fatal(err)
		}
		_ = unix.Close(fd)
	})
	_ = unix.Munmap(mapped)
	mustReport(t, report, "8192 bytes of mapped memory files", "leaktest")
	if strings.Contains(report, "descriptor") {
		t.Errorf("the closed descriptor was reported: %s", report)
	}
}

func TestShmLeak(t *testing.T) {
	impatient(t)
	name := "/dev/shm/leaktest-" + strconv.Itoa(os.Getpid())
	report := check(t, func(*probe) {
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	})
	_ = os.Remove(name)
	mustReport(t, report, "1 name in /dev/shm", name[len("/dev/shm/"):])
}

func TestGroupLeak(t *testing.T) {
	impatient(t)
	places := groupPlaces()
	if len(places) == 0 {
		t.Skip("needs cgroup v2")
	}
	name := places[0] + "/understudy-" + strconv.Itoa(os.Getpid()) + "-leaktest"
	report := check(t, func(*probe) {
		if err := os.Mkdir(name, 0o755); err != nil {
			t.Skipf("needs a cgroup v2 hierarchy that can be written: %v", err)
		}
	})
	_ = os.Remove(name)
	mustReport(t, report, "1 control group", name)
}

func TestProcessLeak(t *testing.T) {
	impatient(t)
	cmd := exec.Command("sleep", "1000")
	report := check(t, func(*probe) {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
	})
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	mustReport(t, report, "1 process", "sleep 1000", "parent "+strconv.Itoa(os.Getpid()))
}

func TestZombieLeak(t *testing.T) {
	impatient(t)
	cmd := exec.Command("true")
	report := check(t, func(*probe) {
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var info unix.Siginfo
		if err := unix.Waitid(unix.P_PID, cmd.Process.Pid, &info, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
			t.Fatal(err)
		}
	})
	_ = cmd.Wait()
	mustReport(t, report, "1 process", "state Z")
}

// A grandchild in its own session whose parent is gone is nobody's descendant, but carries the mark.
func TestEscapedProcessLeak(t *testing.T) {
	impatient(t)
	var pid int
	report := check(t, func(*probe) {
		cmd := exec.Command("sh", "-c", "setsid sleep 1000 >/dev/null 2>&1 & echo $!")
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Fatal(err)
		}
		if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
			t.Fatal(err)
		}
	})
	if err := unix.Kill(pid, unix.SIGKILL); err != nil {
		t.Error(err)
	}
	mustReport(t, report, "process", "sleep 1000")
	// It is somebody else's to reap; what counts here is that it is seen to go.
	deadline := time.Now().Add(10 * time.Second)
	for unix.Kill(pid, 0) == nil && time.Now().Before(deadline) && !isZombie(pid) {
		time.Sleep(time.Millisecond)
	}
}

func isZombie(pid int) bool { return processTable()[pid].state == "Z" }
