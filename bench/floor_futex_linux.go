package main

import (
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/bench/internal/ring"
)

// futexPong is the floor of a call by shared memory whose sides sleep: a request
// of so many bytes and a response of so many, copied into memory between two Go
// processes, each of which blocks in the kernel until the other has written.
type futexPong struct {
	mem  []byte
	conn *net.UnixConn
	peer *os.Process
	futexEnd
	out  []byte
	size int // of a response
}

// futexEnd is one end: it writes one half of the memory and reads the other. The
// first word of a half counts its messages.
type futexEnd struct {
	ours, theirs []byte
	seen         uint32
	in           []byte
}

func halves(mem []byte, first bool) futexEnd {
	a, b := mem[:len(mem)/2], mem[len(mem)/2:]
	if !first {
		a, b = b, a
	}
	return futexEnd{ours: a, theirs: b, in: make([]byte, len(a))}
}

const futexData = 64 // where the bytes begin

func word(half []byte) *uint32 { return (*uint32)(unsafe.Pointer(&half[0])) }

// send writes a message and wakes the other side.
func (e *futexEnd) send(body []byte) {
	copy(e.ours[futexData:], body)
	atomic.AddUint32(word(e.ours), 1)
	_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word(e.ours))), 1, 1, 0, 0, 0) // FUTEX_WAKE
}

// receive sleeps until there is a message, of n bytes.
func (e *futexEnd) receive(n int) []byte {
	for atomic.LoadUint32(word(e.theirs)) == e.seen {
		_, _, _ = unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word(e.theirs))), 0, uintptr(e.seen), 0, 0, 0) // FUTEX_WAIT
	}
	e.seen++
	return e.in[:copy(e.in[:n], e.theirs[futexData:])]
}

func newFutexPong(request, response int) (*futexPong, error) {
	mem, f, err := ring.Memory()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	conn, peer, err := dialFloor(fmt.Sprintf("futex %d %d", request, response), f)
	if err != nil {
		ring.Unmap(mem)
		return nil, err
	}
	return &futexPong{mem: mem, conn: conn, peer: peer, futexEnd: halves(mem, true), out: make([]byte, request), size: response}, nil
}

func (p *futexPong) once() error {
	p.send(p.out)
	p.receive(p.size)
	return nil
}

func (p *futexPong) side() side { return side{op: p.once, peer: p.peer.Pid} }

func (p *futexPong) close() {
	p.conn.Close()
	endFloor(p.peer)
	ring.Unmap(p.mem)
}

// floorFutex is the other side. It ends with the benchmark's.
func floorFutex(f *os.File, args string) error {
	var request, response int
	if _, err := fmt.Sscan(args, &request, &response); err != nil {
		return err
	}
	mem, err := ring.Map(os.NewFile(floorFD+1, "memory"))
	if err != nil {
		return err
	}
	go func() {
		_, _ = f.Read(make([]byte, 1))
		os.Exit(0)
	}()
	end, out := halves(mem, false), make([]byte, response)
	for {
		end.receive(request)
		end.send(out)
	}
}
