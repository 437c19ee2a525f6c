package process

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/leaktest"
)

func init() { roles["heir"] = heir }

// heir is a root that its own parent gave descriptors. It says which of them its children have.
func heir() int {
	fail := func(what ...any) int { fmt.Println(what...); return 1 }
	for _, fd := range []int{20, 27, 400, 513, 900} {
		if err := unix.Dup3(2, fd, 0); err != nil {
			return fail("dup3", fd, err)
		}
	}
	list := func(cmd Command) string {
		lines := ""
		cmd.Output = func(_ Stream, line []byte, _ bool) { lines += strings.Fields(string(line))[0] + " " }
		p, err := Start(context.Background(), cmd)
		if err != nil {
			return err.Error()
		}
		p.Status()
		return lines
	}
	ourselves := role("raw descriptors")
	foreign := Command{Path: "/bin/sh", Args: []string{"-c", "for f in /proc/$$/fd/*; do echo ${f##*/}; done"}}
	// More files than some of the numbers: those are the files.
	many := foreign
	for range 5 {
		many.Files = append(many.Files, os.Stdin)
	}
	fmt.Println(list(ourselves) + "| " + list(foreign) + "| " + list(many))
	out, err := exec.Command("/bin/sh", "-c", "for f in 20 27; do readlink /proc/$$/fd/$f; done").Output()
	fmt.Println(strings.Count(string(out), "\n"), err)
	return 0
}

// What the root inherited is neither its actors' nor other programs', and remains what the program itself passes on.
func TestChildrenDoNotInheritWhatTheRootInherited(t *testing.T) {
	leaktest.Check(t)
	p := start(t, role("heir"))
	if st := ended(t, p); !st.Success() {
		t.Fatal(st, st.Stdout, st.Stderr)
	}
	got := p.Tail(Stdout)
	// A shell's last one is its own, for the listing.
	if want := "0 1 2 3 4 | 0 1 2 3 | 0 1 2 3 4 5 6 7 8 "; got[0] != want && got[0] != strings.Replace(want, "4 |", "|", 1) {
		t.Errorf("children have %q, want %q", got[0], want)
	}
	if got[1] != "2 <nil>" {
		t.Errorf("a child of os/exec has %q", got[1])
	}
}
