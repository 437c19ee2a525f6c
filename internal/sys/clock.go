package sys

import "time"

// clockStart is a moment and clockBase what CLOCK_MONOTONIC said at that moment.
var clockStart, clockBase = calibrateClock()

// MonotonicNow returns CLOCK_MONOTONIC in nanoseconds. On Linux all processes of a machine (strictly: of a time
// namespace) read the same clock, so a deadline may travel in it. Read through package time, it costs no system
// call and follows the fake clock of a testing/synctest bubble. Elsewhere its zero is this process's start.
func MonotonicNow() int64 { return clockBase + int64(time.Since(clockStart)) }
