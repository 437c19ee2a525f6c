package memfd

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// envPiece makes the test binary allocate pieces of so many bytes until it is refused.
const envPiece = "MEMFD_TEST_PIECE"

func TestMain(m *testing.M) {
	if piece, err := strconv.ParseInt(os.Getenv(envPiece), 10, 64); err == nil {
		fmt.Println("ready")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n') // until it is in its group
		var held []*os.File
		for range 1 << 30 / piece {
			f, err := Create("piece", piece)
			if room := new(RoomError); errors.As(err, &room) {
				fmt.Println("refused", strings.Contains(room.Where, "control group"))
				return
			} else if err != nil {
				fmt.Println(err)
				return
			}
			held = append(held, f)
		}
		fmt.Println("has a gibibyte in", len(held))
		return
	}
	m.Run()
}

// memoryGroupV1 makes a group of version 1 whose memory is bounded, or skips the test.
func memoryGroupV1(t *testing.T, limit int64) (dir string) {
	t.Helper()
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		t.Skip(err)
	}
	_, rest, found := strings.Cut("\n"+string(groups), ":memory:")
	own, _, _ := strings.Cut(rest, "\n")
	dir = filepath.Join("/sys/fs/cgroup/memory", own, fmt.Sprintf("memfd-test-%d-%d", os.Getpid(), limit))
	if err := os.Mkdir(dir, 0o755); !found || err != nil {
		t.Skipf("needs the memory controller of cgroup v1: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Rmdir(dir); err != nil {
			t.Errorf("rmdir %s: %v", dir, err)
		}
	})
	if err := os.WriteFile(filepath.Join(dir, "memory.limit_in_bytes"), []byte(strconv.FormatInt(limit, 10)), 0); err != nil {
		t.Skipf("needs the memory controller of cgroup v1: %v", err)
	}
	return dir
}

// Memory beyond the limit of a group of version 1 is refused; the kernel would kill. In one piece or in many.
func TestLimitOfAGroupV1(t *testing.T) {
	for _, piece := range []int64{150 << 20, 24 << 20, 700 << 10} {
		dir := memoryGroupV1(t, 64<<20+piece&^0xfffff)
		cmd := exec.Command("/proc/self/exe")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d", envPiece, piece), "GORACE=atexit_sleep_ms=0")
		stdin, err1 := cmd.StdinPipe()
		stdout, err2 := cmd.StdoutPipe()
		if err := errors.Join(err1, err2, cmd.Start()); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(stdout)
		lines.Scan()
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(cmd.Process.Pid)), 0); err != nil {
			t.Error(err)
		}
		_, _ = stdin.Write([]byte("\n"))
		lines.Scan()
		if err := cmd.Wait(); err != nil || lines.Text() != "refused true" {
			t.Errorf("pieces of %d bytes: %q, %v", piece, lines.Text(), err)
		}
	}
}
