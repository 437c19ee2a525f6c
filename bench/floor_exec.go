package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/understudy-go/understudy/internal/process"
)

// bare is a Go process of this program that does nothing: it has said one byte
// and waits in read. It is the floor of a spawn and of an idle actor.
type bare struct {
	process *os.Process
	wire    *os.File
}

// startBare executes this program once more, and takes the time until its main
// has said its byte.
func startBare() (*bare, time.Duration, error) {
	near, far, err := process.SocketPair()
	if err != nil {
		return nil, 0, err
	}
	start := time.Now()
	p, err := startFloor(far, "byte")
	far.Close()
	if err != nil {
		near.Close()
		return nil, 0, err
	}
	b := &bare{p, near}
	var first [1]byte
	if _, err := io.ReadFull(near, first[:]); err != nil {
		b.close()
		return nil, 0, fmt.Errorf("bare exec: no first byte: %w", err)
	}
	return b, time.Since(start), nil
}

func (b *bare) close() {
	b.wire.Close()
	endFloor(b.process)
}

// floorByte is the other side. It ends with its starter.
func floorByte(f *os.File) error {
	var b [1]byte
	if _, err := f.Write(b[:]); err != nil {
		return err
	}
	_, err := f.Read(b[:])
	return err
}
