package ring

import (
	"bytes"
	"net"
	"testing"
)

type double struct{ read int }

func (d *double) Change(msg []byte) ([]byte, error) { return append(msg, msg...), nil }

func (d *double) Read(msg []byte) error {
	d.read += len(msg)
	return nil
}

func TestServe(t *testing.T) {
	mem, f, err := Memory()
	if err != nil {
		t.Fatal(err)
	}
	defer Unmap(mem)
	near, far := net.Pipe()
	h, done := new(double), make(chan error)
	go func() { done <- Serve(f, far, h) }()
	c := NewCaller(mem, near, func() bool { return false })
	for range 2 {
		check(t, c.WakeTrips())
		got, err := c.Exchange([]byte("ab"))
		if check(t, err); !bytes.Equal(got, []byte("abab")) {
			t.Errorf("reply %q", got)
		}
		check(t, c.Rest())
		check(t, c.WakeStream())
		for range 3 * slots {
			check(t, c.Send([]byte("x")))
		}
		check(t, c.Rest())
	}
	// A caller that goes while the other side spins leaves nobody behind.
	check(t, c.WakeTrips())
	near.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
	// Not before: the race detector does not see mapped memory.
	if h.read != 2*3*slots {
		t.Errorf("%d messages of the streams were read", h.read)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
