package sys

import (
	"time"

	"golang.org/x/sys/unix"
)

// calibrateClock pairs package time's monotonic reading, which on Linux is CLOCK_MONOTONIC with an unknown
// offset, with the clock itself. The tightest of a few brackets is off by well under a microsecond.
func calibrateClock() (time.Time, int64) {
	var (
		start time.Time
		base  int64
		best  time.Duration = 1 << 62
	)
	for range 4 {
		var ts unix.Timespec
		before := time.Now()
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
			return before, 0 // cannot happen: the clock is not optional
		}
		if width := time.Since(before); width < best {
			best, start, base = width, before, ts.Nano()-int64(width)/2
		}
	}
	return start, base
}
