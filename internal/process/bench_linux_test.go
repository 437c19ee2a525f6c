package process

import (
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/understudy-go/understudy/internal/sys"
)

// The three benchmarks run the same program to its end: bare is what the system calls alone cost.
func BenchmarkSpawnBare(b *testing.B) {
	env := append(os.Environ(), envRole+"=exit")
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	fd := null.Fd()
	for b.Loop() {
		pid, err := syscall.ForkExec(sys.SelfImage, []string{"bare"}, &syscall.ProcAttr{Env: env, Files: []uintptr{fd, fd, fd}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := syscall.Wait4(pid, nil, 0, nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSpawnOsExec(b *testing.B) {
	env := append(os.Environ(), envRole+"=exit")
	for b.Loop() {
		cmd := exec.Command(sys.SelfImage)
		cmd.Env = env
		if err := cmd.Run(); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSpawn(b *testing.B) {
	env := append(os.Environ(), envRole+"=exit")
	for b.Loop() {
		p, err := Start(b.Context(), Command{Env: env, Title: "bench", Output: func(Stream, []byte, bool) {}})
		if err != nil {
			b.Fatal(err)
		}
		if st := p.Status(); !st.Success() {
			b.Fatal(st, st.Stderr)
		}
	}
}
