package cgroup

import (
	"os"
	"path"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// delegation decides where in the hierarchy a system may have a directory. "Delegated" is the kernel's word for a
// group whose directory and cgroup.procs and cgroup.subtree_control are given to another user to write
// (Documentation/admin-guide/cgroup-v2.rst, "Delegation"). Write permission alone says that only of a user without
// privileges: root can write everywhere, and a user's own service manager owns what that user can write. Groups are
// to have one writer (systemd's CGROUP_DELEGATION, "Two Key Design Rules"), so more is asked for.
type delegation struct {
	hierarchy
	privileged bool                  // the effective user is root
	realRoot   bool                  // top is the root of the whole hierarchy and not that of a container
	writable   func(dir string) bool // permission
	marked     func(dir string) bool // systemd's mark of a unit with Delegate=
}

func newDelegation(h hierarchy) *delegation {
	// "cgroup.type: a file which exists on non-root cgroups"; a cgroup namespace's root is not the root.
	_, err := os.Stat(path.Join(h.top, "cgroup.type"))
	return &delegation{hierarchy: h, privileged: os.Geteuid() == 0, realRoot: err != nil, writable: groupWritable, marked: groupMarked}
}

// groupWritable reports whether groups can be made in dir and processes be moved into and within it.
func groupWritable(dir string) bool {
	for _, name := range []string{"", "cgroup.procs", "cgroup.subtree_control"} {
		if unix.Faccessat(unix.AT_FDCWD, path.Join(dir, name), unix.W_OK, unix.AT_EACCESS) != nil {
			return false
		}
	}
	return true
}

// groupMarked reports whether systemd says that a unit is delegated. Everybody can read user.delegate, which systemd
// sets from version 251 on; trusted.delegate is older and root's.
func groupMarked(dir string) bool {
	for _, name := range []string{"user.delegate", "trusted.delegate"} {
		var value [8]byte
		if n, err := unix.Getxattr(dir, name, value[:]); err == nil && string(value[:n]) == "1" {
			return true
		}
	}
	return false
}

// delegated reports whether dir is given to us:
//   - what an Understudy system made is its actors' own;
//   - of what systemd manages, units with Delegate=, by their mark; without a mark (old versions), a unit that a user
//     without privileges can write but not the group it is in: an administrator gave away this one in particular;
//   - elsewhere, what a user without privileges can write, and in a container, that is below a root that is not the
//     machine's, what root can write.
//
// So root on the machine itself, in a group without a mark, has nothing delegated: all of it is there for others
// too.
func (d *delegation) delegated(dir string) bool {
	if !d.writable(dir) {
		return false
	}
	ours, unit := false, ""
	d.upwards(dir, func(at string) bool {
		switch name := path.Base(at); {
		case strings.HasPrefix(name, Prefix):
			ours = true
		case at != d.top && isUnit(name):
			unit = at
		}
		return !ours && unit == ""
	})
	switch {
	case ours:
		return true
	case unit != "":
		return d.marked(unit) || !d.privileged && !d.writable(path.Dir(unit))
	}
	return !d.privileged || !d.realRoot
}

// isUnit recognises systemd's units by the name of their group.
func isUnit(name string) bool {
	return slices.Contains([]string{".service", ".scope", ".slice", ".socket", ".mount", ".swap"}, path.Ext(name))
}

// base chooses the group in which a system makes its directory, and says whether memory can be limited there.
//
// A group that holds processes cannot give controllers to its children (the "no internal processes" rule), and our
// own holds us. So the memory controller is available above us, where that is delegated and holds no process (systemd's
// DelegateSubgroup=), or where our own group is the hierarchy's root, which is exempt. Without it our own group
// is preferred, whose limits then go on to hold for the actors.
//
// demanded takes write permission on our own group as enough.
func (d *delegation) base(demanded bool) (dir string, memory bool, err error) {
	above, visible := d.parent()
	above, aboveOurs := above, visible && d.delegated(above) && len(wordsOf(above, "cgroup.procs")) == 0
	if aboveOurs && enable(above, "memory") {
		return above, true, nil
	}
	switch {
	case d.delegated(d.own), demanded && d.writable(d.own):
		return d.own, enable(d.own, "memory"), nil
	case aboveOurs:
		return above, false, nil
	}
	return "", false, &Error{Dir: d.own, Op: "not delegated to us:", Err: unix.EACCES}
}

// enable has a group give a controller to its children, and reports whether it does.
func enable(dir, controller string) bool {
	gives := func() bool { return slices.Contains(wordsOf(dir, "cgroup.subtree_control"), controller) }
	if gives() {
		return true
	}
	if !slices.Contains(wordsOf(dir, "cgroup.controllers"), controller) {
		return false
	}
	return writeGroup(dir, "cgroup.subtree_control", "+"+controller) == nil && gives()
}

// writeGroup writes a group's file, which must exist.
func writeGroup(dir, file, value string) error {
	f, err := os.OpenFile(path.Join(dir, file), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(value)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}
