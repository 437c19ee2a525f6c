//go:build amd64 || arm64

package transport

// pause tells the processor, times over, that the loop waits for memory to
// change: the sibling thread of the core gets the execution units, and leaving
// the loop costs no flush of mispredicted loads (Intel SDM, PAUSE; Arm ARM,
// YIELD). times is at least 1.
func pause(times uint32)
