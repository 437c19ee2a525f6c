package runtime

import (
	"github.com/understudy-go/understudy/internal/cgroup"
)

// Cgroups says whether each process of a system gets a control group (cgroup
// v2, Linux 5.14 or later) of its own. With one, whatever the actor starts ends
// with it, also what left its session and cleaned its environment; and where
// the memory controller is available, [actor.Process].Memory bounds what the actor and
// its descendants hold together. Without, process groups, the orphan sweeper and
// the limits of single processes do what they can.
type Cgroups int

const (
	// CgroupsAuto, the default, uses them where a part of the hierarchy is
	// delegated to this program, and does without in silence elsewhere (the
	// reason is logged at debug level). Delegated is a systemd unit with
	// Delegate=, what a user without privileges was given to write, and a
	// container whose own hierarchy is writable. A program that root runs on
	// the machine itself could write everywhere, but was given nothing: it has to
	// demand them.
	//
	// A group that holds processes cannot give controllers to groups below it.
	// So memory limits by group want a program that is in a group of its own below
	// the delegated one: DelegateSubgroup= in a systemd unit.
	CgroupsAuto = Cgroups(cgroup.Auto)
	// CgroupsNever does without.
	CgroupsNever = Cgroups(cgroup.Never)
	// CgroupsRequired uses them wherever permissions allow. If they do not,
	// there is no system, if a process cannot be put into its group, or its memory
	// cannot be limited there, it is not started, and the error is an [actor.ErrNoCgroup].
	CgroupsRequired = Cgroups(cgroup.Required)
)
