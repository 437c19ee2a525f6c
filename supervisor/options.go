package supervisor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/understudy-go/understudy/actor"
	"github.com/understudy-go/understudy/internal/orphans"
	"github.com/understudy-go/understudy/internal/runtime"
)

// Options are those of a whole system, which only its root can have: they are
// given to [Start] or [Run] beside the spec. The zero value is the default.
type Options struct {
	// Logger takes the records of the system, its actors' slog records, and
	// their standard output and error, each with path and pid. nil: slog.Default.
	Logger *slog.Logger
	// MaxMessage is the size in bytes of the largest message. 0: 256 MiB.
	MaxMessage int
	// Inline is the size in bytes up to which a message travels in the stream;
	// larger ones travel in memory of their own. 0: 4 MiB.
	Inline int
	// Transport says by what messages travel between processes:
	//
	//   - "auto", the default, is shared memory (rings) for small messages of
	//     connections that are used, and the socket for all else. Where the kernel
	//     cannot make rings it is the socket alone, and an event says so.
	//   - "socket" is the socket alone.
	//   - "ring" is auto for connections that are known to be used: they get their
	//     rings before the first message, and not after a few.
	Transport string
	// Spin is how long at most a reader looks for the next message before it
	// sleeps: while it does, a core is busy, and a message needs no system call.
	// It looks for less where that has not paid, and not at all on one CPU or
	// when there is more work than CPUs. 0: 100 µs; negative: it sleeps
	// at once.
	Spin time.Duration
	// Events, if not nil, is called with each event of the system, from the first
	// start on, as [Tree.Events] would yield them: one after another, on one
	// goroutine, the last before the tree is done. So it may stop the tree, but must
	// not wait for its end.
	Events func(actor.Event)
	// Started, if not nil, is called with the tree when its children are ready,
	// before [Start] returns, or while [Run] runs.
	Started func(*Tree)

	// Cgroups says whether each process gets a control group (cgroup v2, Linux
	// 5.14 or later) of its own. With one, all that the actor starts ends with it,
	// also what left its session and cleaned its environment; and where the memory
	// controller is available, the Memory of an [actor.Process] bounds what the
	// actor and its descendants hold together. Without, process groups, the orphan
	// sweeper and the limits of single processes do what they can.
	//
	//   - "auto", the default, uses them where a part of the hierarchy is delegated
	//     to this program, and does without in silence elsewhere (the reason is
	//     logged at debug level). Delegated is a systemd unit with Delegate=, what
	//     a user without privileges was given to write, and a container whose own
	//     hierarchy is writable. A program that root runs on the machine itself
	//     could write everywhere, but was given nothing: it has to demand them.
	//   - "never" does without.
	//   - "required" uses them wherever permissions allow. If they do not, [Start]
	//     fails; if a process cannot be put into its group, or its memory cannot be
	//     limited there, it is not started. The error is an [actor.ErrNoCgroup].
	//
	// A group that holds processes cannot give controllers to groups below it. So
	// memory limits by group want a program that is in a group of its own below
	// the delegated one: DelegateSubgroup= in a systemd unit.
	Cgroups string

	// Reload, if set, is what [Run] does on SIGHUP, in a goroutine beside the tree;
	// without it SIGHUP stops the tree as SIGTERM does. ctx ends when the stop
	// begins. Calls do not overlap. [Start] answers no signals and refuses it.
	Reload func(ctx context.Context)

	// Subreaper makes this process the parent of orphans, in init's place, until
	// the tree has ended: what the actors' own descendants leave behind becomes a
	// child of this process, is reaped when it ends, and killed with the tree. It
	// is for a service that is the first process of a container, or whose init
	// does not reap: it concerns the whole process, and a library has no business
	// with it.
	//
	// Children that the program starts itself, with os/exec or otherwise, are
	// left alone: nothing is reaped that is not known to descend from an actor of
	// this tree. That is known from its control group or its oom_score_adj, which
	// is one more in the actors' processes than in this one; a descendant that has
	// changed both may stay a zombie. Orphans of the program's own children become
	// children of this process as well, as the system cannot tell them apart, and
	// reaping them is the program's.
	//
	// There can be one such tree in a process at a time. It needs Linux.
	Subreaper bool
}

var (
	transports = map[string]runtime.Transport{"": runtime.AutoTransport, "auto": runtime.AutoTransport, "socket": runtime.SocketTransport, "ring": runtime.RingTransport}
	cgroupUses = map[string]runtime.Cgroups{"": runtime.CgroupsAuto, "auto": runtime.CgroupsAuto, "never": runtime.CgroupsNever, "required": runtime.CgroupsRequired}
)

// theOptions returns the options of a root, of which at most one is given.
func theOptions(given []Options) (o Options, err error) {
	if len(given) > 1 {
		return o, fmt.Errorf("%w: %d Options, want at most one", ErrBadSpec, len(given))
	}
	if len(given) == 1 {
		o = given[0]
	}
	var errs []error
	bad := func(format string, a ...any) {
		errs = append(errs, fmt.Errorf("%w: Options: "+format, append([]any{ErrBadSpec}, a...)...))
	}
	if o.MaxMessage < 0 {
		bad("negative MaxMessage %d", o.MaxMessage)
	}
	if o.Inline < 0 {
		bad("negative Inline %d", o.Inline)
	}
	if _, known := transports[o.Transport]; !known {
		bad("unknown transport %q, want auto, socket or ring", o.Transport)
	}
	if o.Reload != nil {
		bad("Reload, which only Run calls")
	}
	if _, known := cgroupUses[o.Cgroups]; !known {
		bad("unknown Cgroups %q, want auto, never or required", o.Cgroups)
	}
	return o, errors.Join(errs...)
}

// open makes the system, and returns what ends it and undoes what Options
// changed in this process.
func (o Options) open() (sys *runtime.System, end func() error, err error) {
	sys, err = runtime.NewSystem(runtime.SystemOptions{Logger: o.Logger, MaxMessage: o.MaxMessage, Inline: o.Inline,
		Transport: transports[o.Transport], Spin: o.Spin, Cgroups: cgroupUses[o.Cgroups]})
	if err != nil {
		return nil, nil, err
	}
	told := make(chan struct{})
	closeSystem := func() error {
		err := sys.Close(context.Background())
		<-told
		return err
	}
	if o.Events == nil {
		close(told)
	} else {
		events := sys.Events(context.Background())
		go func() {
			defer close(told)
			for e := range events {
				o.Events(e)
			}
		}()
	}
	if !o.Subreaper {
		return sys, closeSystem, nil
	}
	reaper, err := orphans.StartReaper(sys.ID())
	if err != nil {
		return nil, nil, errors.Join(err, closeSystem())
	}
	return sys, func() error { return errors.Join(closeSystem(), reaper.Close()) }, nil
}
