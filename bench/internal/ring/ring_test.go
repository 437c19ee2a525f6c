package ring

import (
	"encoding/binary"
	"testing"
)

// Two goroutines stand for the two processes.
func TestOrder(t *testing.T) {
	mem := make([]byte, Size)
	never := func() bool { return false }
	const n = 10 * slots
	go func() {
		r := New(mem, never)
		for i := range n {
			r.Push(binary.LittleEndian.AppendUint64(make([]byte, i%100), uint64(i)))
		}
	}()
	r, buf := New(mem, never), make([]byte, MaxMessage)
	for i := range n {
		b, ok := r.Pop(buf)
		if !ok || len(b) != i%100+8 || binary.LittleEndian.Uint64(b[i%100:]) != uint64(i) {
			t.Fatalf("message %d is %x", i, b)
		}
	}
}

func TestNobodyWaitsForTheDead(t *testing.T) {
	r := New(make([]byte, Size), func() bool { return true })
	if _, ok := r.Pop(make([]byte, MaxMessage)); ok {
		t.Error("popped from nobody")
	}
	for range slots {
		if !r.Push([]byte{1}) {
			t.Fatal("there was room")
		}
	}
	if r.Push([]byte{1}) {
		t.Error("pushed into a full ring that nobody empties")
	}
}
