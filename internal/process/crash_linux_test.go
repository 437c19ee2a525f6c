package process

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
)

func TestCrashFileIsBounded(t *testing.T) {
	leaktest.Check(t)
	fd, err := newCrashFile()
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if text := readCrashFile(fd); text != "" {
		t.Errorf("text in an empty file: %q", text)
	}
	line := make([]byte, 1000)
	for i := range line {
		line[i] = 'x'
	}
	written := 0
	for {
		n, err := unix.Write(fd, line)
		if err != nil {
			break
		}
		if written += n; written > 2*crashSize {
			t.Fatal("no bound")
		}
	}
	if text := readCrashFile(fd); len(text) != written || written < crashSize-4096 {
		t.Errorf("%d bytes read, %d written", len(text), written)
	}
}
