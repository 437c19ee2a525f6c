package sys

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Lacking says why something of the kernel that is there since a version is not: the kernel is older, or something stands
// between (a system call filter of a container answers like an old kernel).
func Lacking(what string, major, minor int) string {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return fmt.Sprintf("%s (Linux %d.%d or later)", what, major, minor)
	}
	return lacking(what, major, minor, unix.ByteSliceToString(name.Release[:]))
}

func lacking(what string, major, minor int, release string) string {
	var haveMajor, haveMinor int
	n, _ := fmt.Sscanf(release, "%d.%d", &haveMajor, &haveMinor)
	switch {
	case n < 2:
		return fmt.Sprintf("%s (Linux %d.%d or later)", what, major, minor)
	case haveMajor < major || haveMajor == major && haveMinor < minor:
		return fmt.Sprintf("%s (Linux %d.%d or later, this is %s)", what, major, minor, release)
	}
	return fmt.Sprintf("%s (Linux %s has it, but it is refused here: by a seccomp filter or the container's policy?)", what, release)
}
