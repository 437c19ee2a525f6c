package process

import (
	"os"
	"strconv"
)

// numericEntries returns the names in a directory that are numbers: processes in /proc, descriptors in /proc/self/fd.
func numericEntries(dir string) ([]int, error) {
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	names, err := f.Readdirnames(-1)
	numbers := make([]int, 0, len(names))
	for _, name := range names {
		if n, err := strconv.Atoi(name); err == nil {
			numbers = append(numbers, n)
		}
	}
	return numbers, err
}

// openDescriptors lists this process's descriptors. One of them was open only for the listing.
func openDescriptors() []int {
	fds, _ := numericEntries("/proc/self/fd")
	return fds
}
