package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/understudy-go/understudy/internal/leaktest"
)

// A newline, a carriage return and both of them end one line, wherever the bytes
// are cut.
func TestLineEnds(t *testing.T) {
	text := "one\r\ntwo\rthree\n\rfour\r\n\r\nfive\r\r\n\nsix"
	want := []string{"one", "two", "three", "", "four", "", "five", "", "", "six"}
	for size := 1; size <= len(text); size++ {
		var got []string
		emit := func(line []byte, _ bool) { got = append(got, string(line)) }
		var s splitter
		for rest := []byte(text); len(rest) > 0; {
			n := min(size, len(rest))
			s.feed(rest[:n], emit)
			rest = rest[n:]
		}
		if s.finish(emit); !slices.Equal(got, want) {
			t.Errorf("by %d bytes: %q, want %q", size, got, want)
		}
	}
}

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext, gr\u00fc\u00dfe": "plain\ttext, gr\u00fc\u00dfe",
		"\x1b[2Jgone":                  `\x1b[2Jgone`,
		"a\x00b\x7f":                   `a\x00b\x7f`,
		"\u009b31mred\u00a0":           `\x9b31mred` + "\u00a0",
		"not \xff UTF-8 \xc2":          "not \xff UTF-8 \xc2",
		"":                             "",
		"\x07":                         `\x07`,
	} {
		if got := string(printable([]byte(in))); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

// The beginning of a line appears after a pause, and its rest when it comes; the
// tail has the whole line.
func TestPartialLines(t *testing.T) {
	leaktest.Check(t)
	got := make(chan said, 10)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = errors.Join(r.Close(), w.Close()) }()
	_ = r.Fd() // blocking, as a shell wants it
	p := start(t, Command{Path: "/bin/sh", Args: []string{"-c", `printf 'password: '; read a; printf 'thanks\nbye'`}, Stdin: r,
		Output: func(s Stream, line []byte, cut bool) { got <- said{s, string(line), cut} }})
	if s := <-got; s.text != "password: " || !s.cut {
		t.Errorf("%+v", s)
	}
	if _, err := w.WriteString("swordfish\n"); err != nil {
		t.Fatal(err)
	}
	if s := <-got; s.text != "thanks" || s.cut {
		t.Errorf("%+v", s)
	}
	if st := ended(t, p); !slices.Equal(st.Stdout, []string{"password: thanks", "bye"}) {
		t.Errorf("%q", st.Stdout)
	}
	if s := <-got; s.text != "bye" || s.cut {
		t.Errorf("%+v", s)
	}
}

// With a slow Output the last lines before the end are delivered, and what was
// delivered and what is counted is all that was printed.
func TestLastLinesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		s := &sink{output: func(_ Stream, line []byte, _ bool) {
			time.Sleep(time.Millisecond)
			got = append(got, string(line))
		}}
		const lines = 200_001
		for i := range lines {
			s.put(Stdout, fmt.Appendf(nil, "line %d", i), false)
		}
		s.close(200 * time.Millisecond)
		if n := int64(len(got)) + s.lost(); n != lines {
			t.Errorf("%d delivered and %d lost: %d, want %d", len(got), s.lost(), n, lines)
		}
		for i := range tailLines {
			if want := fmt.Sprintf("line %d", lines-tailLines+i); len(got) < tailLines || got[len(got)-tailLines+i] != want {
				t.Fatalf("the last lines delivered are %q", strings.Join(got[max(0, len(got)-tailLines):], " "))
			}
		}
		synctest.Wait()
		if s.running {
			t.Error("it runs on")
		}
	})
}
