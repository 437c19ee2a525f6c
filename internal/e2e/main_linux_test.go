package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"github.com/understudy-go/understudy/actor"
)

// envRole names what this binary is to be instead of a test.
const envRole = "E2E_ROLE"

// roles are the programs that this binary can be. They are filled in by init
// functions: a role may name kinds, whose commands name roles.
var roles = map[string]func(args []string){}

func TestMain(m *testing.M) {
	actor.Main() // a role's own actors and orphan sweeper end here
	if name := os.Getenv(envRole); name != "" {
		role, ok := roles[name]
		if !ok {
			fmt.Fprintf(os.Stderr, "no role %q\n", name)
			os.Exit(70)
		}
		role(os.Args[1:])
		os.Exit(0)
	}
	actor.TestMain(m)
}

// roleCommand is this binary as the program that plays a role.
func roleCommand(exe, role string, args ...string) *exec.Cmd {
	cmd := exec.Command(exe, args...)
	cmd.Env = append(os.Environ(), envRole+"="+role, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// self is the image of this process, also when its file is gone.
const self = "/proc/self/exe"
