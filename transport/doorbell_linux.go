package transport

import (
	"encoding/binary"
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Bell wakes a goroutine of this process. Others ring it through its file: it
// is an eventfd, and nothing is ever read from it. That it was rung is an edge
// in the netpoller, which each ringing makes (epoll(7)); whoever waits looks for
// the reason in memory. So to sleep and to be woken are no system calls of ours.
//
// Only the bell's own process has it in its netpoller: a ringer that had it,
// too, would wake itself up, at the price of the ringing.
type Doorbell struct {
	file *os.File
	raw  syscall.RawConn

	mu    sync.Mutex // one waits at a time
	try   func(fd uintptr) bool
	ready func() bool
	again bool
}

// NewBell makes a bell.
func NewDoorbell() (*Doorbell, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("transport: bell: %w", os.NewSyscallError("eventfd", err))
	}
	f := os.NewFile(uintptr(fd), "bell")
	if err := f.SetDeadline(time.Time{}); err != nil { // the netpoller did not take it
		f.Close()
		return nil, fmt.Errorf("transport: bell: %w", err)
	}
	raw, err := f.SyscallConn()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("transport: bell: %w", err)
	}
	b := &Doorbell{file: f, raw: raw}
	b.try = b.attempt
	return b, nil
}

// File is the bell for others to ring; it stays ours.
func (b *Doorbell) File() *os.File { return b.file }

// Wait sleeps until the bell is rung, unless ready says that there is no reason
// to. ready is asked after the bell was made ready to be heard, so a ringing
// that follows what makes it true is not missed. It may also return for nothing.
// It is an error if the bell is closed.
func (b *Doorbell) Wait(ready func() bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ready, b.again = ready, false
	return b.raw.Read(b.try)
}

// attempt is in the netpoller's hands: false means to sleep.
func (b *Doorbell) attempt(uintptr) bool {
	if b.again || b.ready() {
		return true
	}
	b.again = true
	return false
}

// Ring rings the bell in its own process.
func (b *Doorbell) Ring() { _ = b.raw.Control(ringFD) }

// Close ends the bell: Wait returns.
func (b *Doorbell) Close() { b.file.Close() }

// ringFD adds one to the counter, which does not overflow in 2^64 ringings. One
// that somebody has filled makes no edge any more, and others share the bell: it
// is emptied. A bell that is closed is no error.
func ringFD(fd uintptr) {
	one := binary.NativeEndian.AppendUint64(make([]byte, 0, 8), 1)
	for range 3 { // whoever fills it again and again may have it
		if _, err := unix.Write(int(fd), one); err != unix.EAGAIN {
			return
		}
		var count [8]byte
		_, _ = unix.Read(int(fd), count[:])
	}
}

// PeerBell is a bell in another process.
type PeerDoorbell struct {
	mu sync.Mutex
	fd int
}

// OpenBell takes over the file of another process's bell. Anything but an
// eventfd that never blocks is refused.
func OpenDoorbell(f *os.File) (*PeerDoorbell, error) {
	defer f.Close()
	fd, err := duplicateFD(f)
	if err != nil {
		return nil, fmt.Errorf("transport: bell of a peer: %w", err)
	}
	const want = "anon_inode:[eventfd]"
	kind, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	var flags int
	if err == nil {
		flags, err = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	}
	if err == nil && (kind != want || flags&unix.O_NONBLOCK == 0) {
		err = fmt.Errorf("%q with flags %#x, want %s that does not block: %w", kind, flags, want, ErrCorruptRing)
	}
	if err != nil {
		closeFD(fd)
		return nil, fmt.Errorf("transport: bell of a peer: %w", err)
	}
	return &PeerDoorbell{fd: fd}, nil
}

// Ring wakes whoever waits for the bell.
func (b *PeerDoorbell) Ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd >= 0 {
		ringFD(uintptr(b.fd))
	}
}

// Close lets the bell go. It may be called more than once.
func (b *PeerDoorbell) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.fd >= 0 {
		closeFD(b.fd)
		b.fd = -1
	}
}
