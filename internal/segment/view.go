package segment

import "fmt"

// A View is an array without the type of its elements, on which its layout does not depend: the part of a segment
// that an array shows. A shm.Array[T] is a View and nothing else. The zero View is the zero array.
type View struct {
	Handle *Handle // nil where there are no elements
	Offset int64   // bytes into the segment
	Len    int     // elements
	Shape  []int   // not changed after it is set, and never given away; nil for the zero array
}

// Describe returns the text that Array.String returns for a view of elements of kind k.
func (v View) Describe(k Kind) string {
	var state string
	switch {
	case v.Handle == nil:
		state = "empty"
	case v.Handle.seg.mode == Shared:
		state = "shared"
	case v.Handle.seg.Frozen():
		state = "frozen"
	default:
		state = "unfrozen"
	}
	return fmt.Sprintf("%s array %v of %s", state, v.Shape, k)
}
