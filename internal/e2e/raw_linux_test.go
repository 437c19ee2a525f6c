package e2e_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/codec"
	"github.com/understudy-go/understudy/internal/wire"
)

// raw is one end of a connection in the hands of somebody who writes what he
// likes. It waits at most rawPatience for the other side.
type raw struct {
	fd     int
	buf    []byte
	files  []int // received and not taken yet
	lastID uint64
	other  []wire.Envelope // messages that arrived while an answer was awaited
}

const rawPatience = time.Minute

func newRaw(fd int) *raw {
	tv := unix.NsecToTimeval(int64(rawPatience))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv)
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
	_ = unix.SetNonblock(fd, false)
	return &raw{fd: fd, lastID: 1 << 31}
}

// rawPair is a connection: one end raw, the other a file to give away.
func rawPair() (*raw, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	return newRaw(fds[0]), os.NewFile(uintptr(fds[1]), "raw peer"), nil
}

func (r *raw) close() {
	for _, fd := range r.files {
		_ = unix.Close(fd)
	}
	r.files = nil
	if r.fd >= 0 {
		_ = unix.Close(r.fd)
		r.fd = -1
	}
}

// send writes all of b, the descriptors with its first byte.
func (r *raw) send(b []byte, fds ...int) error {
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	for len(b) > 0 {
		n, err := unix.SendmsgN(r.fd, b, oob, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return err
		}
		b, oob = b[n:], nil
	}
	return nil
}

// read returns the next message, io.EOF when the peer has closed.
func (r *raw) read() (wire.Envelope, error) {
	if len(r.other) > 0 {
		e := r.other[0]
		r.other = r.other[1:]
		return e, nil
	}
	return r.receive()
}

func (r *raw) receive() (wire.Envelope, error) {
	var sc wire.Scanner
	for {
		if len(r.buf) > 0 {
			n, err := sc.Frame(r.buf)
			if err != nil {
				return wire.Envelope{}, fmt.Errorf("the library sent what its own scanner refuses: %w", err)
			}
			if n > 0 {
				body := append([]byte(nil), r.buf[:n]...)
				r.buf = append(r.buf[:0], r.buf[n:]...)
				return wire.ParseEnvelope(body)
			}
		}
		p, oob := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(64*4))
		n, oobn, _, _, err := unix.Recvmsg(r.fd, p, oob, unix.MSG_CMSG_CLOEXEC)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.ECONNRESET) || err == nil && n == 0 {
			return wire.Envelope{}, io.EOF
		}
		if err != nil {
			return wire.Envelope{}, fmt.Errorf("raw receive: %w", err)
		}
		if cmsgs, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil {
			for _, c := range cmsgs {
				if fds, err := unix.ParseUnixRights(&c); err == nil {
					r.files = append(r.files, fds...)
				}
			}
		}
		r.buf = append(r.buf, p[:n]...)
	}
}

// request sends a request and returns its id.
func (r *raw) request(method string, params, meta []byte) (uint64, error) {
	r.lastID++
	return r.lastID, r.send(wire.AppendRequest(nil, r.lastID, method, params, meta))
}

// answerTo reads up to the answer to a request; other messages are kept.
func (r *raw) answerTo(id uint64) (wire.Envelope, error) {
	for {
		e, err := r.receive()
		if err != nil {
			return e, err
		}
		if e.Type == wire.Response && e.ID == id {
			return e, nil
		}
		r.other = append(r.other, e)
	}
}

func (r *raw) call(method string, params, meta []byte) (wire.Envelope, error) {
	id, err := r.request(method, params, meta)
	if err != nil {
		return wire.Envelope{}, err
	}
	return r.answerTo(id)
}

// await reads up to a request or notification of the given method.
func (r *raw) await(method string) (wire.Envelope, error) {
	for i, e := range r.other {
		if e.Method == method {
			r.other = append(r.other[:i], r.other[i+1:]...)
			return e, nil
		}
	}
	for {
		e, err := r.receive()
		if err != nil {
			return e, err
		}
		if e.Method == method {
			return e, nil
		}
		r.other = append(r.other, e)
	}
}

func (r *raw) notify(method string, params []byte) error {
	return r.send(wire.AppendNotify(nil, method, params, nil))
}

// announce sends a descriptor and names it as segment id of size and mode.
func (r *raw) announce(id, size, mode uint64, fd int) error {
	r.lastID++
	token := r.lastID
	if err := r.send(wire.AppendNotify(nil, "$/file", codec.Params(token), nil), fd); err != nil {
		return err
	}
	return r.notify("$/segment", codec.Params(id, size, mode, token))
}

// respond answers a request.
func (r *raw) respond(id uint64, errValue, result any) error {
	var e, v []byte
	if errValue != nil {
		e = pack(errValue)
	}
	if result != nil {
		v = pack(result)
	}
	return r.send(wire.AppendResponse(nil, id, e, v, nil))
}

// drain reads until the peer closes.
func (r *raw) drain() error {
	for {
		if _, err := r.read(); err != nil {
			if err == io.EOF {
				return nil
			}
			return err
		}
	}
}

func pack(v any) []byte {
	b, err := msgpack.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// list packs an argument list.
func list(args ...any) []byte {
	if args == nil {
		args = []any{}
	}
	return pack(args)
}

// text is what a value says, for messages of failed tests.
func text(b []byte) string {
	var v any
	if len(b) == 0 {
		return ""
	}
	if err := msgpack.Unmarshal(b, &v); err != nil {
		return err.Error()
	}
	return fmt.Sprint(v)
}

func helloMap(change map[string]any) map[string]any {
	h := map[string]any{"min": 1, "max": 1, "build": "", "system": "", "pid": os.Getpid(), "clock": 0, "caps": []string{"begin", "files", "streams", "connect"}}
	for k, v := range change {
		h[k] = v
	}
	return h
}

// memfd makes a memory file of a size with seals.
func memfd(size int64, seals int) (int, error) {
	return sparse(size, seals, func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
}

// sparse makes one that is filled, or not, by fill.
func sparse(size int64, seals int, fill func(fd int) error) (int, error) {
	fd, err := unix.MemfdCreate("e2e", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, err
	}
	if err := unix.Ftruncate(fd, size); err != nil {
		return -1, err
	}
	if err := fill(fd); err != nil {
		return -1, err
	}
	if seals != 0 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
			return -1, err
		}
	}
	return fd, nil
}

const (
	sealSize   = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	sealFrozen = sealSize | unix.F_SEAL_WRITE
	frozen     = 1
	shared     = 2
)
