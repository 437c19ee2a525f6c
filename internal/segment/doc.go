// Package segment has the memory beneath package shm: which segments this process has, who refers to them, and how a
// message refers to them.
//
// A [Segment] is a piece of memory, a memfd. The segment table has one Segment for each memfd, however often it comes,
// and the Segment counts its references. A [Handle] is the reference of an array: it has the mapping through which the
// array is read and written. A [View] is the part of a segment that an array shows; a shm.Array[T] is a View with a type.
//
// On the wire an array is a reference: the index of its segment in the message, an offset, a length, the element type
// ([Kind]) and the shape. A message carries its segments through the interfaces [Carrier] and [Source]. The codec calls
// [AppendReference] and [ReadReference]; other encoders come here through the methods of shm.Array.
//
// The package trusts no peer: [OpenSegment] asks the kernel about every descriptor, and every reference is checked
// before it becomes a View.
//
// It may import the standard library, golang.org/x/sys, msgpack, and packages that make and inspect memory; of this
// module nothing else, and not package shm, which imports it.
package segment
