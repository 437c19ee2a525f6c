// Package shm has arrays that pass between processes by reference.
//
// An [Array] is an ordinary field of a message. What is sent of it is a reference of some ten bytes; its memory, a
// memfd, crosses to each peer once, as a descriptor. The receiver maps it when it looks at the data, and no byte is
// copied, whatever the size:
//
//	frame, err := shm.New[uint8](1080, 1920, 3) // zeros, writable for its maker
//	pix, err := frame.Slice()                   // []uint8
//	...                                         // fill pix
//	err = Show.Cast(ctx, screen, frame)         // freezes it, for good and for all
//	frame.Release()                             // at once, if you like: the message has a reference
//
// # Who may write
//
// An array made by [New] is one-shot: written by its maker, then frozen by [Array.Freeze] or its first sending, then
// only read. The kernel enforces it (F_SEAL_WRITE): a write is a fault, which handlers turn into a panic. An array made
// by [NewShared] can be written by every process that has it. Messages must say whose turn it is; there are no locks.
//
// # Who releases
//
// Every array that a process has is released there, once:
//
//   - What you make is yours. Release it when you have sent it or need it no more.
//   - What a handler receives is released when it returns, unless it said [Array.Keep].
//   - What comes as the reply to a call belongs to the caller.
//   - A frozen array that a handler returns is moved to the caller, unless the handler said Keep.
//
// Copies and views of an array share its handle: the first Release ends all of them, and every slice taken from them.
// The handle then answers [ErrReleased]; a slice cannot, and using it is a use of freed memory. [SetStrict] makes that
// use fault where it happens, for tests. [Outstanding] lists the arrays that were not released and where they were made.
//
// The kernel frees the memory when the last process has released it or died. It has no name in any file system, so
// nothing can be left behind.
//
// # What is checked
//
// Memory is allocated when the array is made; shortage is an [*AllocError] there and not a SIGBUS later. The size is
// sealed. The receiver believes nothing of what a peer sends: it asks the kernel for the descriptor's kind, size, seals
// and allocation, checks the reference's type, shape, overflow, alignment and bounds, and maps the memory only then. So
// no peer can make the access to a valid array fault. With shared arrays there is one exception: a peer may give pages
// back (a hole), which then read as zeros.
//
// # Elsewhere than on Linux
//
// Arrays live on the heap and pass between actors in one process only. The rules are the same, but nothing faults:
// freezing is a promise then.
package shm
