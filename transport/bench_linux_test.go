package transport

import (
	"fmt"
	"io"
	"net"
	"os"
	"testing"
)

func init() {
	helpers["echo-raw"] = func() { must(echoRaw(fileConn(os.NewFile(3, "fd 3")))) }
	helpers["echo-conn"] = func() {
		l, err := NewSocket(os.NewFile(3, "fd 3"), newFramer().Frame, SocketOptions{Files: countFiles})
		must(err)
		must(echoConn(l))
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func fileConn(f *os.File) *net.UnixConn {
	conn, err := net.FileConn(f)
	must(err)
	f.Close()
	return conn.(*net.UnixConn)
}

// echoConn returns what comes until the other end is closed.
func echoConn(l Conn) error {
	defer l.Close()
	for {
		m, err := l.Receive()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if err := l.Send(m); err != nil {
			return err
		}
	}
}

// echoRaw is the same with nothing but reads and writes. It need not know
// where messages end, because there is only one at a time.
func echoRaw(conn *net.UnixConn) error {
	defer conn.Close()
	buf := make([]byte, 256<<10)
	for {
		n, err := conn.Read(buf)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := conn.Write(buf[:n]); err != nil {
			return err
		}
	}
}

// BenchmarkPingPong is a message there and back, between two goroutines and
// between two processes, over a connection and over a bare net.UnixConn.
func BenchmarkPingPong(b *testing.B) {
	for _, place := range []string{"goroutines", "processes"} {
		for _, size := range []int{64, 4 << 10, 64 << 10} {
			for _, means := range []string{"raw", "conn"} {
				b.Run(fmt.Sprintf("%s/size=%d/%s", place, size, means), func(b *testing.B) {
					here, there := socketPair(b)
					if place == "goroutines" {
						done := make(chan error, 1)
						go func() {
							if means == "raw" {
								done <- echoRaw(fileConn(there))
							} else {
								done <- echoConn(newSocket(b, there))
							}
						}()
						defer func() {
							if err := <-done; err != nil {
								b.Error(err)
							}
						}()
					} else {
						cmd := helper(b, "echo-"+means)
						cmd.ExtraFiles = []*os.File{there}
						if err := cmd.Start(); err != nil {
							b.Fatal(err)
						}
						there.Close()
						defer func() {
							if err := cmd.Wait(); err != nil {
								b.Error(err)
							}
						}()
					}
					body := numbered(0, size-headerSize)
					if means == "raw" {
						pingRaw(b, fileConn(here), body)
					} else {
						pingConn(b, newSocket(b, here), body)
					}
				})
			}
		}
	}
}

func pingConn(b *testing.B, l Conn, body []byte) {
	defer l.Close()
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Send(Message{Body: body}); err != nil {
			b.Fatal(err)
		}
		m, err := l.Receive()
		if err != nil || len(m.Body) != len(body) {
			b.Fatal(len(m.Body), err)
		}
	}
}

func pingRaw(b *testing.B, conn *net.UnixConn, body []byte) {
	defer conn.Close()
	buf := make([]byte, len(body))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := conn.Write(body); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkStream is messages in one direction, as fast as the reader reads:
// the sender keeps a bounded number of bytes in the connection.
func BenchmarkStream(b *testing.B) {
	for _, size := range []int{64, 4 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("size=%d", size), func(b *testing.B) {
			room := make(chan struct{}, 1)
			here, there := socketPair(b)
			a, c := newSocket(b, here, func() {
				select {
				case room <- struct{}{}:
				default:
				}
			}), newSocket(b, there)
			total := make(chan int)
			go func() {
				n := 0
				for {
					if _, err := c.Receive(); err != nil {
						total <- n
						return
					}
					n++
				}
			}()
			body := numbered(0, size-headerSize)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			sent := 0
			for b.Loop() {
				if err := a.Send(Message{Body: body}); err != nil {
					b.Fatal(err)
				}
				sent++
				for a.Buffered() > 1<<20 {
					<-room
				}
			}
			for a.Buffered() > 0 {
				<-room
			}
			a.Close()
			if n := <-total; n != sent {
				b.Fatalf("%d messages came of %d", n, sent)
			}
		})
	}
}

// BenchmarkPipe is a message there and back in memory.
func BenchmarkPipe(b *testing.B) {
	a, c := Pipe()
	done := make(chan error, 1)
	go func() { done <- echoConn(c) }()
	pingConn(b, a, numbered(0, 64-headerSize))
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}
