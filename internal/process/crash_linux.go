package process

import (
	"bytes"
	"os"
	"runtime/debug"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/memfd"
	"github.com/understudy-go/understudy/internal/sys"
)

// crashSize bounds a crash text. The file is sealed at that size, so a dump of a million goroutines is cut by the
// kernel, not by our memory; pages are taken only as they are written.
const crashSize = 256 << 10

// newCrashFile returns the memory file that takes a child's crash text.
func newCrashFile() (fd int, err error) {
	return memfd.CreateSparse("understudy-crash", crashSize, unix.F_SEAL_GROW, unix.F_SEAL_SHRINK)
}

// readCrashFile returns what was written to fd. The file is zeros from its end of text on.
func readCrashFile(fd int) string {
	var probe [1]byte
	if n, err := preadFull(fd, probe[:], 0); n == 0 || err != nil || probe[0] == 0 {
		return ""
	}
	buf := make([]byte, crashSize)
	n, _ := preadFull(fd, buf, 0)
	text, _, _ := bytes.Cut(buf[:n], []byte{0})
	return string(text)
}

func preadFull(fd int, buf []byte, off int64) (n int, err error) {
	for n < len(buf) {
		var m int
		err = sys.Retry(func() (err error) {
			m, err = unix.Pread(fd, buf[n:], off+int64(n))
			return err
		})
		if m <= 0 || err != nil {
			return n, err
		}
		n += m
	}
	return n, nil
}

// adoptCrashFile makes the Go runtime of this child copy its last words to the descriptor its parent passed.
func adoptCrashFile() {
	value, ok := os.LookupEnv(envCrash)
	if !ok {
		return
	}
	_ = os.Unsetenv(envCrash)
	fd, err := strconv.Atoi(value)
	if err != nil || fd < 3 {
		return
	}
	f := os.NewFile(uintptr(fd), "crash text")
	if f == nil {
		return
	}
	// The runtime keeps a duplicate of its own. If it refuses, stderr still has the text.
	_ = debug.SetCrashOutput(f, debug.CrashOptions{})
	_ = f.Close()
}
