package process

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/understudy-go/understudy/internal/leaktest"
)

func init() {
	orders["print"] = func(arg string) string { fmt.Println(arg); return "" }
	roles["long line"] = func() int {
		os.Stdout.Write(bytes.Repeat([]byte("x"), 1<<20))
		os.Stdout.WriteString("\nend\nunfinished")
		return 0
	}
	roles["flood"] = func() int {
		line := append(bytes.Repeat([]byte("y"), 999), '\n')
		for range 8 << 10 {
			os.Stderr.Write(line)
		}
		return 0
	}
}

type said struct {
	stream Stream
	text   string
	cut    bool
}

func TestOutputLines(t *testing.T) {
	leaktest.Check(t)
	var got []said // written by one goroutine, read after Done
	p := start(t, Command{
		Path: "/bin/sh", Args: []string{"-c", "echo one; echo two >&2; echo; printf three"},
		Output: func(s Stream, line []byte, cut bool) { got = append(got, said{s, string(line), cut}) },
	})
	st := ended(t, p)
	var out, err []string
	for _, s := range got {
		if s.stream == Stdout {
			out = append(out, s.text)
		} else {
			err = append(err, s.text)
		}
	}
	if fmt.Sprintf("%q %q", out, err) != `["one" "" "three"] ["two"]` {
		t.Errorf("stdout %q stderr %q", out, err)
	}
	if fmt.Sprintf("%q %q", st.Stdout, st.Stderr) != `["one" "" "three"] ["two"]` || st.OutputDropped != 0 {
		t.Errorf("status %+v", st)
	}
}

// What the dead had written is delivered although somebody else holds the pipe, and what is written for ever after
// is not waited for.
func TestFinishDrainsWhatIsThere(t *testing.T) {
	leaktest.Check(t)
	var w wiring
	var ends [2]*os.File
	var others [2]*os.File
	for i := range ends {
		own, other, err := w.pipe()
		if err != nil {
			t.Fatal(err)
		}
		ends[i], others[i] = os.NewFile(uintptr(own), "own"), os.NewFile(other, "other")
		defer others[i].Close()
	}
	text := strings.Repeat("z", 60<<10) + "\nlast"
	if _, err := others[0].WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := ends[0].SetReadDeadline(time.Unix(1, 0)); err != nil { // as if the reader had not come round to it
		t.Fatal(err)
	}
	var got []string
	o := listen(ends[0], ends[1], func(_ Stream, line []byte, _ bool) { got = append(got, string(line)) }, nil)
	o.finish()
	if strings.Join(got, "\n") != text {
		t.Errorf("%d lines", len(got))
	}
}

func TestMegabyteLineComesInPieces(t *testing.T) {
	leaktest.Check(t)
	var got []said
	cmd := role("long line")
	cmd.Output = func(s Stream, line []byte, cut bool) { got = append(got, said{s, string(line), cut}) }
	st := ended(t, start(t, cmd))
	if !st.Success() {
		t.Fatal(st)
	}
	const pieces = (1 << 20) / MaxLine
	if len(got) != pieces+2 {
		t.Fatalf("%d lines, dropped %d", len(got), st.OutputDropped)
	}
	total := 0
	for i, s := range got[:pieces] {
		total += len(s.text)
		if len(s.text) > MaxLine || s.cut != (i < pieces-1) {
			t.Errorf("piece %d: %d bytes, cut %v", i, len(s.text), s.cut)
		}
	}
	if total != 1<<20 || got[pieces].text != "end" || got[pieces+1].text != "unfinished" || got[pieces+1].cut {
		t.Errorf("%d bytes, then %v", total, got[pieces:])
	}
}

func TestStalledOutputNeverBlocksTheChild(t *testing.T) {
	leaktest.Check(t)
	release := make(chan struct{})
	stalled := make(chan struct{})
	calls := 0
	cmd := role("flood") // 8 MiB: far more than a pipe and the queue
	cmd.Output = func(Stream, []byte, bool) {
		if calls++; calls == 1 {
			close(stalled)
			<-release
		}
	}
	p := start(t, cmd)
	<-stalled
	st := ended(t, p)
	if !st.Success() {
		t.Errorf("status %v", st)
	}
	if st.OutputDropped == 0 || p.OutputDropped() < st.OutputDropped {
		t.Errorf("dropped %d, later %d", st.OutputDropped, p.OutputDropped())
	}
	if len(st.Stderr) != tailLines {
		t.Errorf("the tail has %d lines although it does not depend on Output", len(st.Stderr))
	}
	close(release)
}

func TestSplitterAgainstWholeText(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// Lengths around a piece's size are what can go wrong; the bytes do not matter.
		length := rapid.OneOf(rapid.IntRange(0, 5), rapid.IntRange(MaxLine-2, MaxLine+2), rapid.IntRange(2*MaxLine-2, 2*MaxLine+2))
		var text []byte
		var want []said
		for i, n := range rapid.SliceOfN(length, 0, 4).Draw(t, "lengths") {
			line := strings.Repeat(string(rune('a'+i)), n)
			text = append(append(text, line...), '\n')
			for len(line) > MaxLine {
				want = append(want, said{text: line[:MaxLine], cut: true})
				line = line[MaxLine:]
			}
			want = append(want, said{text: line})
		}
		var got []said
		emit := func(line []byte, cut bool) { got = append(got, said{text: string(line), cut: cut}) }
		var s splitter
		for rest := text; len(rest) > 0; {
			n := min(len(rest), rapid.OneOf(rapid.IntRange(1, 3), rapid.IntRange(1, 3*MaxLine)).Draw(t, "read")*17)
			s.feed(rest[:n], emit)
			rest = rest[n:]
		}
		s.finish(emit)
		if len(got) != len(want) {
			t.Fatalf("%d lines, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("line %d: %d bytes cut %v, want %d bytes cut %v", i, len(got[i].text), got[i].cut, len(want[i].text), want[i].cut)
			}
		}
	})
}

func TestTailKeepsTheLast(t *testing.T) {
	var tail Tail
	if tail.Lines() != nil {
		t.Error("an empty tail has lines")
	}
	for i := range 3*tailLines + 5 {
		tail.Add([]byte(fmt.Sprintf("line %d", i)))
	}
	tail.Begin([]byte("of which the end is "))
	tail.Begin([]byte("of which the end is not"))
	tail.Add([]byte("of which the end is not forgotten"))
	tail.Add(bytes.Repeat([]byte("z"), 2*tailLineSize))
	lines := tail.Lines()
	if len(lines) != tailLines || lines[0] != fmt.Sprintf("line %d", 2*tailLines+7) || len(lines[tailLines-1]) != tailLineSize {
		t.Errorf("%d lines, first %q, last of %d bytes", len(lines), lines[0], len(lines[len(lines)-1]))
	}
	tail.Begin(bytes.Repeat([]byte("y"), 2*tailLineSize))
	if lines := tail.Lines(); len(lines) != tailLines+1 || lines[tailLines] != strings.Repeat("y", tailLineSize) {
		t.Errorf("with the next one begun: %d lines", len(lines))
	}
}

// What asks and waits for an answer has no end of line.
func TestTailOfAPrompt(t *testing.T) {
	leaktest.Check(t)
	p := start(t, Command{Path: "/bin/sh", Args: []string{"-c", "printf 'password: '; exec sleep 1000"}})
	for end := time.Now().Add(30 * time.Second); p.Tail(Stdout) == nil && time.Now().Before(end); {
		runtime.Gosched()
	}
	if got := p.Tail(Stdout); len(got) != 1 || got[0] != "password: " {
		t.Errorf("it printed %q", got)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
	if st := ended(t, p); len(st.Stdout) != 1 || st.Stdout[0] != "password: " {
		t.Errorf("in the end it had printed %q", st.Stdout)
	}
}

func TestSinkBoundsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var got int
		s := &sink{output: func(Stream, []byte, bool) { <-release; got++ }}
		s.put(Stdout, []byte("first"), false)
		synctest.Wait() // the first line is with the stalled function, the queue is empty
		line := make([]byte, 1000)
		const sent = 5000
		for range sent {
			s.put(Stdout, line, false)
		}
		waiting := s.waiting.len()
		if waiting == 0 || s.waiting.size() > sinkBytes || cap(s.waiting.bytes) > 4*sinkBytes || int(s.lost())+waiting != sent {
			t.Errorf("%d wait in %d bytes, %d lost", waiting, len(s.waiting.bytes), s.lost())
		}
		s.close(time.Minute) // nobody takes them
		if s.lost() != sent {
			t.Errorf("%d lost of %d", s.lost(), sent)
		}
		close(release)
		synctest.Wait()
		if got != 1 || s.running {
			t.Errorf("%d calls, running %v", got, s.running)
		}
		s.put(Stdout, line, false)
		if s.lost() != sent+1 {
			t.Error("a closed sink took a line")
		}
	})
}

func TestSinkCloseWaitsForASlowOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		s := &sink{output: func(_ Stream, line []byte, _ bool) {
			<-time.After(time.Second)
			got = append(got, string(line))
		}}
		for _, line := range []string{"a", "b", "c"} {
			s.put(Stderr, []byte(line), false)
		}
		s.close(time.Minute)
		if strings.Join(got, "") != "abc" || s.lost() != 0 {
			t.Errorf("got %q, lost %d", got, s.lost())
		}
	})
}

// What a -cover binary says of itself is in no quote and no log; what merely
// resembles it is.
func TestCoverageWarningIsDropped(t *testing.T) {
	leaktest.Check(t)
	const warning = "warning: GOCOVERDIR not set, no coverage data emitted"
	own, other, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	o := listen(nil, own, func(_ Stream, line []byte, _ bool) { got = append(got, string(line)) }, nil)
	if _, err := other.WriteString(warning + "\nmine\n" + warning + "!\n" + warning + "\n"); err != nil {
		t.Fatal(err)
	}
	other.Close()
	o.readers.Wait()
	o.finish()
	want := []string{"mine", warning + "!"}
	if !slices.Equal(got, want) || !slices.Equal(o.tail(Stderr).Lines(), want) {
		t.Errorf("said %q, quoted %q", got, o.tail(Stderr).Lines())
	}
}
