package chaos_test

import (
	"fmt"
	"path"
)

// role is a place in the tree. All processes know all of them by number.
type role struct {
	path       string
	child      string // id of a child process that the actor itself supervises
	inProcess  bool
	concurrent bool // handlers run side by side: begins have no order in the journal
	flaky      bool // starts slowly, or not at all
	narrow     bool // a small mailbox
	slots      int  // how many messages an incarnation can have in hand
}

const (
	roleRoot  = 0 // the test itself: it only sends
	roleInbox = 1 // an inbox in the root: it only receives
)

// cast is the tree: workers with a child process each, a nested supervisor, an
// actor in the root's process, one that starts badly, one with several slots.
var cast = []role{
	roleRoot:  {path: "/"},
	roleInbox: {path: "(inbox)", slots: 1},
	{path: "/w0", child: "c", slots: 1},
	{path: "/w0/c", slots: 1},
	{path: "/w1", child: "c", narrow: true, slots: 1},
	{path: "/w1/c", slots: 1},
	{path: "/team/a", slots: 1},
	{path: "/team/b", slots: 1},
	{path: "/team/l", inProcess: true, slots: 1},
	{path: "/local", inProcess: true, narrow: true, slots: 1},
	{path: "/odd", flaky: true, slots: 1},
	{path: "/hub", concurrent: true, slots: hubSlots},
}

const hubSlots = 3

func roleOf(p string) (uint16, bool) {
	for i, r := range cast {
		if r.path == p {
			return uint16(i), true
		}
	}
	return 0, false
}

func roleName(i uint16) string {
	if int(i) >= len(cast) {
		return fmt.Sprintf("role %d", i)
	}
	return cast[i].path
}

// targets are the roles that are actors.
func targets() []uint16 {
	var all []uint16
	for i := range cast {
		if i > roleInbox {
			all = append(all, uint16(i))
		}
	}
	return all
}

func (r role) id() string { return path.Base(r.path) }
