package process

import (
	"bytes"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

const (
	readSize = 64 << 10 // a whole pipe of the default size in one call
	// sinkPatience is how long after a death an Output function may take for the last lines. Only one that
	// stalls ever takes it.
	sinkPatience = 200 * time.Millisecond
	// partialPause is after how much silence the beginning of a line is handed over.
	partialPause = 250 * time.Millisecond
)

// fatalPrefix begins the line in which the Go runtime says why it gives up (runtime.throw).
var fatalPrefix = []byte("fatal error: ")

// coverageWarning is what each process of a program says that was built with -cover, if GOCOVERDIR is not set. It is no
// actor's word, and so it is in no report or log.
var coverageWarning = []byte("warning: GOCOVERDIR not set, no coverage data emitted")

// readBuffers are lent to readers for one read: a thousand silent children hold no buffer.
var readBuffers = sync.Pool{New: func() any { return new([readSize]byte) }}

// output reads a child's stdout and stderr.
type output struct {
	tails   [2]Tail      // of stdout and of stderr: who says much on one says what matters on the other
	fatal   string       // stderr's last line that begins with fatalPrefix; its reader's until finish
	sink    *sink        // nil without a listener
	races   *raceReports // in stderr; nil if they do not matter; its reader's until finish
	readers sync.WaitGroup
	pipes   [2]*os.File
}

// listen starts one reader per pipe. It takes over the pipes, which must be nonblocking; nil is none.
func listen(stdout, stderr *os.File, call func(Stream, []byte, bool), race func(string)) *output {
	o := &output{pipes: [2]*os.File{stdout, stderr}}
	if raceEnabled && race != nil {
		o.races = &raceReports{call: race}
	}
	if call != nil {
		o.sink = &sink{output: call}
	}
	for i, pipe := range o.pipes {
		if pipe != nil {
			o.readers.Add(1)
			go o.read(pipe, Stdout+Stream(i))
		}
	}
	return o
}

func (o *output) tail(stream Stream) *Tail { return &o.tails[stream-Stdout] }

// finish ends the readers once the child is dead. What it had written is in the pipes by now and is still
// delivered; what a descendant that holds the pipe may yet write is not waited for.
func (o *output) finish() {
	for _, p := range o.pipes {
		if p == nil {
			continue
		}
		_ = p.SetReadDeadline(time.Unix(1, 0)) // fails only if the reader closed the pipe already
	}
	o.readers.Wait()
	if o.races != nil {
		o.races.end()
	}
	if o.sink != nil {
		o.sink.close(sinkPatience)
	}
}

func (o *output) dropped() int64 {
	if o.sink == nil {
		return 0
	}
	return o.sink.lost()
}

// read drains one pipe until its end or until finish.
func (o *output) read(f *os.File, stream Stream) {
	defer o.readers.Done()
	defer func() { _ = f.Close() }()
	tail := o.tail(stream)
	var mu sync.Mutex // of what follows
	var lines splitter
	shown := 0 // bytes of the line that has not ended which the sink has already
	emit := func(line []byte, cut bool) {
		rest := line[min(shown, len(line)):]
		shown = 0
		if stream == Stderr && bytes.Equal(line, coverageWarning) {
			return
		}
		if stream == Stderr && bytes.HasPrefix(line, fatalPrefix) {
			o.fatal = string(line[:min(len(line), tailLineSize)])
		}
		if stream == Stderr && o.races != nil {
			o.races.line(line)
		}
		line = printable(line)
		tail.Add(line)
		if o.sink == nil {
			return
		}
		if len(rest) == len(line) {
			rest = line
		}
		o.sink.put(stream, printable(rest), cut)
	}
	pause := time.AfterFunc(time.Hour, func() { // a prompt, say: its end may be long in coming
		mu.Lock()
		defer mu.Unlock()
		if o.sink != nil && len(lines.partial) > shown {
			o.sink.put(stream, printable(lines.partial[shown:]), true)
			shown = len(lines.partial)
		}
	})
	defer func() {
		pause.Stop()
		mu.Lock()
		defer mu.Unlock()
		lines.finish(emit)
	}()
	rc, err := f.SyscallConn()
	if err != nil {
		return // closed: this is its only holder, so it cannot happen
	}
	for {
		var n int
		var failed error
		waitErr := rc.Read(func(fd uintptr) bool {
			var again bool
			mu.Lock()
			defer mu.Unlock()
			n, again, failed = readSome(int(fd), readSize, &lines, emit)
			return !again
		})
		mu.Lock()
		tail.Begin(printable(lines.partial))
		if len(lines.partial) > shown {
			pause.Reset(partialPause)
		}
		mu.Unlock()
		switch {
		case errors.Is(waitErr, os.ErrDeadlineExceeded):
			_ = rc.Control(func(fd uintptr) {
				mu.Lock()
				defer mu.Unlock()
				drain(int(fd), &lines, emit)
			})
			return
		case waitErr != nil || failed != nil || n == 0:
			return
		}
	}
}

// readSome reads once, at most limit bytes, and feeds the splitter. again means: nothing there now.
func readSome(fd, limit int, lines *splitter, emit func([]byte, bool)) (n int, again bool, err error) {
	buf := readBuffers.Get().(*[readSize]byte)
	defer readBuffers.Put(buf)
	err = sys.Retry(func() (err error) {
		n, err = unix.Read(fd, buf[:min(limit, readSize)])
		return err
	})
	if err == unix.EAGAIN {
		return 0, true, nil
	}
	if err != nil {
		return 0, false, err
	}
	lines.feed(buf[:n], emit)
	return n, false, nil
}

// drain reads what is in the pipe at this moment and no more: a descendant may be writing without end.
func drain(fd int, lines *splitter, emit func([]byte, bool)) {
	// x/sys names the request by its terminal alias; on a pipe it is FIONREAD.
	present, err := unix.IoctlGetInt(fd, unix.TIOCINQ)
	for err == nil && present > 0 {
		var n int
		var again bool
		n, again, err = readSome(fd, present, lines, emit)
		if again || n == 0 {
			return
		}
		present -= n
	}
}
