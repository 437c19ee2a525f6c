package transport

import (
	"math/bits"
	"sync"
)

// Sizes of buffers in bytes. All are powers of two.
const (
	smallBuffer = 4 << 10  // what an idle connection keeps for reading, and the first piece of a queue
	largeBuffer = 64 << 10 // what a busy one reads and writes at a time
	maxPooled   = 16 << 20 // larger ones are left to the garbage collector
)

// pools keep buffers of smallBuffer << i bytes. They are shared by all connections,
// so that many connections that were busy once do not each keep a large buffer.
var pools [13]sync.Pool // up to maxPooled

// poolOf returns the index of the smallest class that holds n bytes.
func poolOf(n int) int {
	if n <= smallBuffer {
		return 0
	}
	return bits.Len(uint(n-1)) - bits.Len(uint(smallBuffer-1))
}

// getBuffer returns a buffer of at least n bytes, with anything in it.
func getBuffer(n int) []byte {
	if n > maxPooled {
		return make([]byte, n)
	}
	class := poolOf(n)
	if b, ok := pools[class].Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, smallBuffer<<class)
}

// putBuffer gives a buffer of getBuffer back. The caller has no slice of it left.
func putBuffer(b []byte) {
	if cap(b) > maxPooled || cap(b) < smallBuffer {
		return
	}
	b = b[:cap(b)]
	pools[poolOf(cap(b))].Put(&b)
}
