package child

import (
	"fmt"
	"os"
	"os/exec"
)

// envRole makes this program the other side of a row instead of a benchmark.
const envRole = "UNDERSTUDY_PEERS_ROLE"

// RunRole is the first line of main: in a child that Role made it plays its role
// and never returns.
func RunRole(roles map[string]func() error) {
	name, ok := os.LookupEnv(envRole)
	if !ok {
		return
	}
	play, ok := roles[name]
	if !ok {
		fmt.Fprintf(os.Stderr, "peers: no such role: %q\n", name)
		os.Exit(2)
	}
	// Whatever it starts is something else.
	if err := os.Unsetenv(envRole); err != nil {
		fmt.Fprintln(os.Stderr, "peers:", err)
		os.Exit(2)
	}
	if err := play(); err != nil {
		fmt.Fprintf(os.Stderr, "peers: %s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Role returns the command that executes this program in a role. The files are
// its descriptors from 3 on.
func Role(name string, files ...*os.File) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Args[0] = "peers-" + name
	cmd.Env = append(os.Environ(), envRole+"="+name)
	cmd.ExtraFiles = files
	return cmd
}
