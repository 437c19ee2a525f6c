package e2e_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/runtime"
)

func init() {
	// lastwords STDOUT STDERR serves one request by printing that and leaving.
	roles["lastwords"] = func(args []string) {
		r := newRaw(3)
		if shake(r, "plain") != nil {
			return
		}
		if _, err := r.read(); err == nil {
			fmt.Fprint(os.Stdout, args[0])
			fmt.Fprint(os.Stderr, args[1])
			os.Exit(3)
		}
	}
}

// What a program printed before it ended is in the error, whichever stream it
// chose, and whether it was ready or had not even said hello.
func TestLastWords(t *testing.T) {
	w := newWorld(t)
	for name, c := range map[string]struct {
		stdout, stderr string // without a quote, for the shell
		want           []string
	}{
		"neither": {"", "", nil},
		"stdout":  {"starting\nno licence\n", "", []string{"; stdout: starting | no licence"}},
		"stderr":  {"", "no licence\n", []string{"; stderr: no licence"}},
		"both":    {"no licence\n", "a warning\nanother\n", []string{"; stderr: a warning | another; stdout: no licence"}},
		"no end":  {"no licence", "", []string{"; stdout: no licence"}},
		"much":    {strings.Repeat("work\n", 1000) + "no licence\n", "", []string{"; stdout: work | work", "work | no licence"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			path := "/" + strings.ReplaceAll(name, " ", "-")
			says := func(when string, err error, stdout, stderr []string) {
				t.Helper()
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("%s: %v\ndoes not say %q", when, err, want)
					}
				}
				if strings.Contains(err.Error(), "std") != (c.want != nil) || len(err.Error()) > 1000 {
					t.Errorf("%s: it says too much: %v", when, err)
				}
				if !slices.Equal(stdout, lastLines(c.stdout)) || !slices.Equal(stderr, lastLines(c.stderr)) {
					t.Errorf("%s: stdout %q, stderr %q", when, stdout, stderr)
				}
			}

			script := fmt.Sprintf("printf '%%s' '%s'; printf '%%s' '%s' >&2; exit 3", c.stdout, c.stderr)
			x, err := w.fails(path, Foreigns.With(foreignArgs{Path: "/bin/sh", Args: []string{"-c", script}}))
			says("before hello", err, x.Stdout, x.Stderr)
			e := exitError(t, err, path, actor.ReasonExitCode)
			says("before hello", e, e.Stdout, e.Stderr)

			i := w.launch(path, Foreigns.With(foreignArgs{Role: "lastwords", Args: []string{c.stdout, c.stderr}}))
			_, err = ForeignEcho.Call(w.ctx, w.foreign(path), "go")
			e = exitError(t, err, path, actor.ReasonExitCode)
			says("in a call", err, e.Stdout, e.Stderr)
			w.wait(i.Done(), "its end")
			says("in the report", e, i.Exit().Stdout, i.Exit().Stderr)
		})
	}
}

// lastLines is what is kept of an output.
func lastLines(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	return lines[max(0, len(lines)-32):]
}

// Each way in which a start can fail says what was printed.
func TestFailedStartsSayWhatWasPrinted(t *testing.T) {
	w := newWorld(t)
	patient := runtime.Settings{StartTimeout: 2 * time.Second} // to print takes less
	for name, c := range map[string]struct {
		role   actor.Role
		given  runtime.Settings
		reason actor.Reason
		says   string
	}{
		"too late": {Foreigns.With(foreignArgs{Path: "/bin/sh", Args: []string{"-c", "printf 'password: '; exec sleep 1000"}}), patient,
			actor.ReasonStartTimeout, "; stdout: password: "},
		"hangs up": {Foreigns.With(foreignArgs{Path: "/bin/sh", Args: []string{"-c", "exec 3>&-; echo wrong version; exit 4"}}), runtime.Settings{},
			actor.ReasonExitCode, "; stdout: wrong version"},
		"gone well": {Foreigns.With(foreignArgs{Path: "/bin/sh", Args: []string{"-c", "echo usage: peer FILE"}}), runtime.Settings{},
			actor.ReasonStartFailed, "exited before it was ready; message begun: no; stdout: usage: peer FILE"},
		"bad hello": {Foreigns.With(foreignArgs{Path: "/bin/sh", Args: []string{"-c", "echo over here; printf hello >&3; exec sleep 1000"}}), runtime.Settings{},
			actor.ReasonProtocol, "; stdout: over here"},
		"refused": {Victims.With("prints"), runtime.Settings{}, actor.ReasonStartFailed, "out of ideas; stdout: I tried"},
	} {
		t.Run(name, func(t *testing.T) {
			w := w.in(t)
			x, err := w.fails("/"+strings.ReplaceAll(name, " ", "-"), c.role, c.given)
			if x.Reason != c.reason || !strings.Contains(err.Error(), c.says) || len(x.Stdout) != 1 {
				t.Errorf("start: %v\nexit: %v, stdout %q", err, x, x.Stdout)
			}
		})
	}
}
