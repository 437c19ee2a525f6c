package transport

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// helpers are what this program does when a test starts it again.
var helpers = map[string]func(){}

// helper returns a command that runs one of them. It ends with this process,
// however this one ends: the pipe to its standard input is then closed.
func helper(t testing.TB, name string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), "UNDERSTUDY_TRANSPORT_HELPER="+name)
	cmd.Stderr = os.Stderr
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

func TestMain(m *testing.M) {
	if name := os.Getenv("UNDERSTUDY_TRANSPORT_HELPER"); name != "" {
		go func() {
			io.Copy(io.Discard, os.Stdin)
			os.Exit(3)
		}()
		helpers[name]()
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// prefixFramer delimits messages by four bytes of length, and the fifth says
// how many descriptors the message announces.
type prefixFramer struct {
	limit int
	seen  int // to check the connection's promise to show more each time
}

var (
	errTooLong = errors.New("message too long")
	errShrunk  = errors.New("the framer was not shown more than before")
)

const headerSize = 5

func (f *prefixFramer) Frame(data []byte) (int, error) {
	if len(data) <= f.seen {
		return 0, errShrunk
	}
	f.seen = len(data)
	if len(data) < headerSize {
		return 0, nil
	}
	n := int(binary.BigEndian.Uint32(data))
	if n > f.limit {
		return 0, errTooLong
	}
	if len(data)-headerSize < n {
		return 0, nil
	}
	f.seen = 0
	return headerSize + n, nil
}

func newFramer() *prefixFramer { return &prefixFramer{limit: 64 << 20} }

func countFiles(body []byte) int { return int(body[4]) }

// frame makes a message of a payload.
func frame(files int, payload []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))
	b = append(b, byte(files))
	return append(b, payload...)
}

// cycle is 0, 1, ... 255, 0, 1, ...
var cycle = func() []byte {
	b := make([]byte, 64<<10)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}()

// numbered makes a message of size bytes after the header that can be told
// from every other one. The size is at least 8.
func numbered(n, size int) []byte {
	b := make([]byte, 0, headerSize+size)
	b = binary.BigEndian.AppendUint32(b, uint32(size))
	b = append(b, 0)
	b = binary.BigEndian.AppendUint64(b, uint64(n))
	for rest := size - 8; rest > 0; {
		piece := cycle[n%256:]
		piece = piece[:min(rest, len(piece)-len(piece)%256)] // whole cycles, up to the last
		b = append(b, piece...)
		rest -= len(piece)
	}
	return b
}

// checkNumbered reports what is wrong with a message of numbered, if anything.
func checkNumbered(body []byte, n int) error {
	if len(body) < headerSize+8 {
		return fmt.Errorf("message %d: only %d bytes", n, len(body))
	}
	if got := int(binary.BigEndian.Uint64(body[headerSize:])); got != n {
		return fmt.Errorf("message %d came where %d was due", got, n)
	}
	if !bytes.Equal(body, numbered(n, len(body)-headerSize)) {
		return fmt.Errorf("message %d: the bytes behind its number are wrong", n)
	}
	return nil
}
