package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
)

// stream is the floor of casts: messages in one direction, a write for each,
// read as they come, over a bare socketpair between two Go processes.
type stream struct {
	conn *net.UnixConn
	peer *os.Process
	out  []byte
}

func newStream(size int) (*stream, error) {
	conn, peer, err := dialFloor("drain")
	if err != nil {
		return nil, err
	}
	return &stream{conn: conn, peer: peer, out: make([]byte, size)}, nil
}

// send sends n messages and returns when all were read.
func (s *stream) send(n int) error {
	header := binary.LittleEndian.AppendUint64(nil, uint64(n)*uint64(len(s.out)))
	if _, err := s.conn.Write(header); err != nil {
		return fmt.Errorf("raw stream: %w", err)
	}
	for range n {
		if _, err := s.conn.Write(s.out); err != nil {
			return fmt.Errorf("raw stream: %w", err)
		}
	}
	if _, err := io.ReadFull(s.conn, header[:1]); err != nil {
		return fmt.Errorf("raw stream: %w", err)
	}
	return nil
}

func (s *stream) close() {
	s.conn.Close()
	endFloor(s.peer)
}

// floorDrain is the other side. It need not know where messages end.
func floorDrain(f *os.File, _ string) error {
	conn, err := unixConn(f)
	if err != nil {
		return err
	}
	f.Close()
	buf := make([]byte, 64<<10)
	for {
		if _, err := io.ReadFull(conn, buf[:8]); err != nil {
			return err
		}
		for left := binary.LittleEndian.Uint64(buf); left > 0; {
			n, err := conn.Read(buf[:min(left, uint64(len(buf)))])
			if err != nil {
				return err
			}
			left -= uint64(n)
		}
		if _, err := conn.Write(buf[:1]); err != nil {
			return err
		}
	}
}
