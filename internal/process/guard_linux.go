package process

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// guardianPipe is the descriptor of a guardian whose end of file means: the root is gone, or is closing.
const guardianPipe = 3

// RunGuardianIfAsked turns this process into a guardian, and never returns, if StartGuardian began it. It must come
// before any other code of the program.
func RunGuardianIfAsked() {
	system, ok := os.LookupEnv(envGuardian)
	if !ok || system == "" {
		return
	}
	// A service manager or a closing terminal ends everything it can see. The guardian ends when the root has.
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGTSTP, unix.SIGPIPE)
	_ = setShortName("guardian") // for people only
	closeInheritedOnExec()

	// Nothing is ever written to the pipe; and a pipe that cannot be read says as much as its end.
	var one [1]byte
	_ = ignoringEINTR(func() error {
		for {
			if n, err := unix.Read(guardianPipe, one[:]); n <= 0 || err != nil {
				return err
			}
		}
	})
	if err := sweepAll(system, os.Getenv(envGuardianCgroup)); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
