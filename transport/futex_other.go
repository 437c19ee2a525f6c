//go:build !linux

package transport

import "sync/atomic"

// Without futexes no goroutine sleeps in the kernel; see there.

const maxFutexes = 1

type futexWait struct{ value uint64 }

func waitForPrivate(*atomic.Uint32, uint32) futexWait { return futexWait{} }
func waitForShared(*uint64, uint64) futexWait         { return futexWait{} }
func futexSleep([]futexWait) bool                     { return false }
func futexWakePrivate(*atomic.Uint32)                 {}
func futexWakeShared(*uint64) bool                    { return false }
func hasFutexes() bool                                { return false }
