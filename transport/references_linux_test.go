package transport

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func init() { helpers["refs"] = helpRefs }

// Too many descriptors on their way hold up the connection but lose nothing, and
// when that lasts only the message concerned loses its own. It takes a process
// without privileges.
func TestTooManyReferences(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can start a process under another user, and the count is kept for a user")
	}
	if err := helper(t, "refs").Run(); err != nil {
		t.Fatal(err)
	}
}

// helpRefs is its process.
func helpRefs() {
	check := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	const limit = 60
	user := 45321 + os.Getpid()%10000 // not shared with another run of this test
	check(syscall.Setgid(user))
	check(syscall.Setuid(user))
	check(syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: limit, Max: limit}))
	null, err := os.Open(os.DevNull)
	check(err)
	files := make([]*os.File, 20)
	for i := range files {
		files[i] = null
	}
	entries, err := os.ReadDir("/proc/self/fd")
	check(err)
	const n = 5 // the kernel refuses when more than the limit are on their way already
	for _, patient := range []bool{true, false} {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		check(err)
		drained := make(chan struct{}, 1)
		a, err := NewSocket(os.NewFile(uintptr(fds[0]), "a"), newFramer().Frame, SocketOptions{Drained: func() { drained <- struct{}{} }})
		check(err)
		b, err := NewSocket(os.NewFile(uintptr(fds[1]), "b"), newFramer().Frame, SocketOptions{Files: countFiles})
		check(err)
		a.(*socket).patience = 0
		if patient {
			a.(*socket).patience = time.Hour
		}
		for i := range n {
			check(a.Send(Message{Body: frame(len(files), []byte{byte(i)}), Files: files}))
		}
		if patient && a.Buffered() == 0 {
			check(errors.New("the kernel did not say ETOOMANYREFS"))
		}
		if !patient {
			<-drained // without any help from the reader
		}
		for i := range n {
			m, err := b.Receive()
			check(err)
			if m.Body[headerSize] != byte(i) {
				check(fmt.Errorf("message %d came where %d was due", m.Body[headerSize], i))
			}
			wantLost := !patient && i == n-1
			if m.FilesLost != wantLost || !wantLost && len(m.Files) != len(files) {
				check(fmt.Errorf("message %d: %d files, lost %v; want lost %v", i, len(m.Files), m.FilesLost, wantLost))
			}
			closeFiles(m.Files)
		}
		a.Close()
		b.Close()
	}
	if now, err := os.ReadDir("/proc/self/fd"); err != nil || len(now) > len(entries)+1 { // one for the netpoller
		check(fmt.Errorf("%d descriptors are open, %d at first (%v)", len(now), len(entries), err))
	}
}
