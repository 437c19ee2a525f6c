// Package cgroup gives a system's processes control groups (cgroup v2) where a part of the hierarchy is delegated to it:
// it finds that part, makes a group for each incarnation, and ends a group with everything in it. Of the memory limits
// that already hold for this process, in version 2 and in version 1, it only asks how much they leave.
//
// It may import internal/sys and golang.org/x/sys.
package cgroup
