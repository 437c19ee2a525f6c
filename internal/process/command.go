package process

import (
	"os"
	"syscall"

	"github.com/understudy-go/understudy/internal/cgroup"
)

// Stream says which of a child's output streams a line came from.
type Stream uint8

// The two output streams of a child.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

// String returns the stream's usual name.
func (s Stream) String() string {
	switch s {
	case Stdout:
		return "stdout"
	case Stderr:
		return "stderr"
	}
	return "stream?"
}

// Command describes a child. The zero value, with a Title, is this program again.
type Command struct {
	// Path is the executable. Empty means the image of this very process, also when its file was replaced or
	// deleted since.
	Path string
	// Args are the arguments after argv[0].
	Args []string
	// Title is argv[0], by convention "program: path #n". A re-exec'ed child gets it padded with spaces, so
	// that SetTitle has room. Empty means Path, or this process's own argv[0].
	Title string
	// Env is the environment; nil means this process's. The first of two equal names wins, as in getenv(3).
	Env []string
	// Dir is the working directory; empty means this process's, or the child's root if it has another.
	Dir string
	// Files become descriptors 3, 4, ... of the child. They are borrowed and stay open here. Their mode is not
	// touched: an end that a foreign program will use should be blocking, and must not share its file
	// description with an end used here.
	Files []*os.File
	// Stdin, Stdout and Stderr, if not nil, take the place of /dev/null and of the two pipes whose lines Output and
	// Process.Tail get. They are borrowed as Files are.
	Stdin, Stdout, Stderr *os.File
	// Sys, if not nil, has the restrictions and privileges of the child: who it runs as, its root directory, namespaces
	// and capabilities. FromExec says which fields may be set; session, group and signals are Start's.
	Sys *syscall.SysProcAttr
	// Limits are in force before the child runs its first instruction.
	Limits Limits
	// Cgroups, if not nil, is where the child gets a control group of its own, named Group. What is left in it when
	// the child has ended is killed. Unless groups are required, a child that cannot have one does without.
	Cgroups *cgroup.Groups
	Group   string
	// Output is called with each line the child prints, without its end (a newline, a carriage return, or both) and with
	// control characters escaped, by one goroutine per child, in order within a stream. The line is valid during the
	// call. A line longer than MaxLine, or whose end is long in coming, comes in pieces, and cut is true for all but its
	// last. If Output does not keep up, the oldest lines are dropped and counted (Process.OutputDropped): the child never
	// blocks on its output. Nil means only the tail is kept.
	Output func(stream Stream, line []byte, cut bool)
	// Race is called with each report of the race detector that the child writes to standard error, as soon as it is
	// there and without waiting for Output; and once when this program as a child ends with the detector's exit code
	// without one. It is called only if this program is built with -race.
	Race func(report string)

	// Detached is for the one child that must outlive us: it gets no parent-death signal, no pipes for its output, and no
	// file for a crash text.
	Detached bool
}

// MaxLine is how many bytes of a line of output are handed over in one piece.
const MaxLine = 64 << 10

// Limits bound what a child may take. Zero fields mean: no limit of ours. They are inherited by what the child
// starts, each process of its own. A limit that the system refuses makes Start fail with a *LimitError.
type Limits struct {
	// Memory bounds, in bytes, what is the child's own: anonymous memory, resident or swapped out. What it maps of files or
	// shares, such as arrays, does not count. The collector of a Go child works against it (GOMEMLIMIT). Who stays above it for
	// 100 ms, or is above three times of it, is killed; from Process.Ready on, an allocation far beyond it is refused
	// (RLIMIT_DATA). At least 16 MiB for this program, 1 MiB for another.
	// Under the race detector this program's own may have eight times as much, for the detector's shadow of it.
	// With a control group whose memory can be limited, all that the child and its descendants hold is bounded by it
	// as well (memory.max), at once and by the kernel; that charges memory files to who made them, and page cache.
	Memory int64
	// Files bounds the open descriptors (RLIMIT_NOFILE, soft and hard).
	Files int
	// CPUs is how many processors the child may run on at a time. It is an upper bound: on a smaller machine it
	// means all of them. A Go child sizes GOMAXPROCS by it.
	CPUs int
	// Nice is the scheduling priority, -20 (first) to 19 (last). Below ours needs privilege.
	Nice int
}

// envCrash names the environment entry with the number of the descriptor that takes the child's crash text.
const envCrash = "UNDERSTUDY_CRASH_FD"
