package orphans

import (
	"os"
	"os/signal"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/process"
	"github.com/understudy-go/understudy/internal/sys"
)

// sweeperPipe is the descriptor of a sweeper whose end of file means: the root is gone, or is closing.
const sweeperPipe = 3

// RunSweeperIfAsked turns this process into a sweeper, and never returns, if StartSweeper began it. It must come
// before any other code of the program.
func RunSweeperIfAsked() {
	system, ok := os.LookupEnv(envSweeper)
	if !ok || system == "" {
		return
	}
	// A service manager or a closing terminal ends everything it can see. The sweeper ends when the root has.
	signal.Ignore(unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGTSTP, unix.SIGPIPE)
	_ = process.SetShortName("sweeper") // for people only
	process.CloseInheritedOnExec()

	// Nothing is ever written to the pipe; and a pipe that cannot be read says as much as its end.
	var one [1]byte
	_ = sys.Retry(func() error {
		for {
			if n, err := unix.Read(sweeperPipe, one[:]); n <= 0 || err != nil {
				return err
			}
		}
	})
	if err := sweepAll(system, os.Getenv(envGroup)); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}
