//go:build !linux

package sys

import "time"

func calibrateClock() (time.Time, int64) { return time.Now(), 0 }
