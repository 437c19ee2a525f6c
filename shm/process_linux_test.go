package shm

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/segment"
)

func init() {
	children["reader"] = readerChild
	children["writer"] = writerChild
	children["maker"] = makerChild
	children["limited"] = limitedChild
}

// A peer is this test binary run again, with a descriptor as its number 3, spoken to in lines.
type peer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startPeer(t *testing.T, child string, fd3 *os.File, env ...string) *peer {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(append(os.Environ(), childEnv+"="+child), env...)
	cmd.Stderr = os.Stderr
	if fd3 != nil {
		cmd.ExtraFiles = []*os.File{fd3}
	}
	p := &peer{cmd: cmd, in: must(cmd.StdinPipe())}
	p.out = bufio.NewReader(must(cmd.StdoutPipe()))
	must(0, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	return p
}

func (p *peer) say(line string) { must(fmt.Fprintln(p.in, line)) }

func (p *peer) hear(t *testing.T, want string) {
	t.Helper()
	got, err := p.out.ReadString('\n')
	if strings.TrimSpace(got) != want {
		t.Fatalf("the other process said %q, %v; want %q", got, err, want)
	}
}

// exited waits for the end of a peer, which it reports as an error if it was not a good one.
func (p *peer) exited(t *testing.T) {
	t.Helper()
	if _, err := io.Copy(os.Stderr, p.out); err != nil {
		t.Error(err)
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("the other process: %v", err)
	}
}

// sendReference starts a peer with an array's descriptor and the reference to it.
func sendReference(t *testing.T, child string, a Array[float64]) *peer {
	t.Helper()
	m := encode(t, a)
	defer m.begun()
	return startPeer(t, child, m.segments[0].File(), "REFERENCE="+hex.EncodeToString(m.Bytes()),
		fmt.Sprintf("SIZE=%d", m.segments[0].Size()))
}

// receiveReference is the other side of sendReference.
func receiveReference(mode segment.Mode) Array[float64] {
	var size int64
	must(fmt.Sscan(os.Getenv("SIZE"), &size))
	m := &message{segments: []*segment.Segment{must(segment.OpenSegment(os.NewFile(3, "3"), size, mode))}}
	m.Write(must(hex.DecodeString(os.Getenv("REFERENCE"))))
	var a Array[float64]
	must(0, msgpack.NewDecoder(m).Decode(&a))
	m.begun()
	return a
}

// assert ends a child in which something is not as it should be.
func assert(ok bool, format string, args ...any) {
	if !ok {
		panic(fmt.Sprintf(format, args...))
	}
}

func readerChild() {
	a := receiveReference(segment.Frozen)
	pix := a.Data()
	assert(a.Len() == 10*1000 && pix[0] == 2000 && pix[9999] == 2000+9999, "received %v beginning with %v", a, pix[0])
	_, faulted := faults(func() { pix[0] = 1 })
	assert(faulted, "wrote to a frozen array of another process")
	fd := int(segmentOf(a).File().Fd())
	_, err := unix.MmapPtr(fd, 0, nil, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	assert(errors.Is(err, unix.EPERM), "writable mapping: %v", err)
	fmt.Println("read")
	must(bufio.NewReader(os.Stdin).ReadString('\n')) // the maker has let go of it by now
	assert(pix[9999] == 2000+9999, "changed after the maker's release")
	a.Release()
	assert(leaks() == "", "leaked: %s", leaks())
}

func TestFrozenAcrossProcesses(t *testing.T) {
	noLeaks(t)
	a := must(New[float64](20, 1000))
	for i := range a.Data() {
		a.Data()[i] = float64(i)
	}
	p := sendReference(t, "reader", a.View(2, 12))
	p.hear(t, "read")
	a.Release()
	if s := Stats(); s.Segments != 0 {
		t.Errorf("%+v while only the other process has it", s)
	}
	p.say("released")
	p.exited(t)
}

func writerChild() {
	a := receiveReference(segment.Shared)
	in := bufio.NewReader(os.Stdin)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			break
		}
		var i int
		must(fmt.Sscan(line, &i))
		a.Data()[i] *= 2
		a.Data()[i+1] = a.Data()[i] + 1
		fmt.Println("done", i)
	}
	a.Release()
	assert(leaks() == "", "leaked: %s", leaks())
}

func TestSharedAcrossProcesses(t *testing.T) {
	noLeaks(t)
	a := must(NewShared[float64](100))
	defer a.Release()
	a.Data()[0] = 1
	p, q := sendReference(t, "writer", a), sendReference(t, "writer", a)
	for i := 0; i < 20; i += 2 { // in turns
		p.say(fmt.Sprint(i))
		p.hear(t, fmt.Sprint("done ", i))
		q.say(fmt.Sprint(i + 1))
		q.hear(t, fmt.Sprint("done ", i+1))
		if i == 10 {
			a.Data()[12]++ // our turn
		}
	}
	want := []float64{1}
	for i := range 20 {
		if i == 12 {
			want[12]++
		}
		want[i] *= 2
		want = append(want, want[i]+1)
	}
	if got := a.Data()[:21]; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	must(0, p.cmd.Process.Kill()) // in the middle of things
	_ = p.cmd.Wait()
	a.Data()[0] = 5
	q.say("0")
	q.hear(t, "done 0")
	if a.Data()[0] != 10 {
		t.Error("the death of one process harmed the others")
	}
	must(0, q.in.Close())
	q.exited(t)
}

// makerChild sends an array through its descriptor 3, a socket, and dies.
func makerChild() {
	a := must(New[float64](1000))
	a.Data()[999] = 4.5
	m := new(message)
	must(0, msgpack.NewEncoder(m).Encode(a))
	must(0, unix.Sendmsg(3, m.Bytes(), unix.UnixRights(int(m.segments[0].File().Fd())), nil, 0))
	must(0, unix.Kill(unix.Getpid(), unix.SIGKILL))
}

func TestArrayOutlivesItsMaker(t *testing.T) {
	noLeaks(t)
	pair := must(unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	defer unix.Close(pair[0])
	theirs := os.NewFile(uintptr(pair[1]), "")
	p := startPeer(t, "maker", theirs)
	must(0, theirs.Close())
	var exit *exec.ExitError
	if err := p.cmd.Wait(); !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
		t.Fatalf("the maker ended with %v", err)
	}
	buf, oob := make([]byte, 100), make([]byte, 100)
	n, oobn, _, _, err := unix.Recvmsg(pair[0], buf, oob, unix.MSG_CMSG_CLOEXEC)
	must(0, err)
	fds := must(unix.ParseUnixRights(&must(unix.ParseSocketControlMessage(oob[:oobn]))[0]))
	m := &message{segments: []*segment.Segment{must(segment.OpenSegment(os.NewFile(uintptr(fds[0]), ""), 8000, segment.Frozen))}}
	m.Write(buf[:n])
	var a Array[float64]
	m.decode(t, &a)
	m.begun()
	if a.Data()[999] != 4.5 {
		t.Errorf("got %v", a.Data()[999])
	}
	m.handlerReturned()
}

// limitedChild may write no file, or memfd, of more than a mebibyte. The signal of the attempt would end it.
func limitedChild() {
	must(0, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 20, Max: 1 << 20}))
	_, err := New[uint8](2 << 20)
	var failed *AllocError
	assert(errors.Is(err, ErrNoMemory) && errors.As(err, &failed) && failed.Limit == 1<<20, "%v", err)
	must(New[uint8](1 << 20)).Release()
	assert(leaks() == "", "leaked: %s", leaks())
	fmt.Println("refused")
}

func TestFileSizeLimit(t *testing.T) {
	p := startPeer(t, "limited", nil)
	p.hear(t, "refused")
	p.exited(t)
}
