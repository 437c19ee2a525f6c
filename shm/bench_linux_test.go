package shm

import (
	"errors"
	"os"
	"testing"

	"github.com/vmihailenco/msgpack/v5"
	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/segment"
)

var benchSizes = []int{4 << 10, 64 << 10, 1 << 20, 16 << 20, 256 << 20, 1 << 30}

func forSizes(b *testing.B, fn func(b *testing.B, size int)) {
	for _, size := range benchSizes {
		b.Run(segment.FormatBytes(int64(size)), func(b *testing.B) {
			b.ReportAllocs()
			fn(b, size)
		})
	}
}

func benchArray(b *testing.B, size int) Array[uint8] {
	a, err := New[uint8](size)
	if errors.Is(err, ErrNoMemory) {
		b.Skip(err)
	}
	return must(a, err)
}

// BenchmarkAllocate makes and releases an array: its memory is there, and mapped, but not yet touched.
func BenchmarkAllocate(b *testing.B) {
	forSizes(b, func(b *testing.B, size int) {
		for b.Loop() {
			benchArray(b, size).Release()
		}
	})
}

// BenchmarkFill makes an array, writes every page of it and releases it.
func BenchmarkFill(b *testing.B) {
	forSizes(b, func(b *testing.B, size int) {
		b.SetBytes(int64(size))
		for b.Loop() {
			a := benchArray(b, size)
			touch(a.Data())
			a.Release()
		}
	})
}

func touch(s []uint8) {
	for i := 0; i < len(s); i += 4096 {
		s[i] = 1
	}
}

// BenchmarkFreeze freezes arrays that have been written in full.
func BenchmarkFreeze(b *testing.B) {
	forSizes(b, func(b *testing.B, size int) {
		for range b.N {
			b.StopTimer()
			a := benchArray(b, size)
			touch(a.Data())
			b.StartTimer()
			must(0, a.Freeze())
			b.StopTimer()
			a.Release()
		}
	})
}

// BenchmarkOpen takes a descriptor as it comes from a peer, maps it, reads the first element and lets go of it.
func BenchmarkOpen(b *testing.B) {
	forSizes(b, func(b *testing.B, size int) {
		f := benchFile(b, size)
		defer f.Close()
		for b.Loop() {
			fd := must(unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0))
			s := must(segment.OpenSegment(os.NewFile(uintptr(fd), ""), int64(size), segment.Frozen))
			data, release, err := s.Open()
			s.Release()
			sink = must(data, err)[0]
			release()
		}
	})
}

// BenchmarkOpenRead is BenchmarkOpen with a read of every page.
func BenchmarkOpenRead(b *testing.B) {
	forSizes(b, func(b *testing.B, size int) {
		f := benchFile(b, size)
		defer f.Close()
		b.SetBytes(int64(size))
		for b.Loop() {
			fd := must(unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0))
			s := must(segment.OpenSegment(os.NewFile(uintptr(fd), ""), int64(size), segment.Frozen))
			data, release, err := s.Open()
			s.Release()
			must(data, err)
			var sum uint8
			for i := 0; i < size; i += 4096 {
				sum += data[i]
			}
			sink = sum
			release()
		}
	})
}

// benchFile returns the descriptor of a frozen array that this process has forgotten.
func benchFile(b *testing.B, size int) *os.File {
	a := benchArray(b, size)
	defer a.Release()
	touch(a.Data())
	must(0, a.Freeze())
	return os.NewFile(uintptr(must(unix.FcntlInt(segmentOf(a).File().Fd(), unix.F_DUPFD_CLOEXEC, 0))), "")
}

// BenchmarkMessage encodes and decodes a reference to a segment that has crossed before: what sending costs then.
func BenchmarkMessage(b *testing.B) {
	a := benchArray(b, 1<<20)
	defer a.Release()
	m := new(message)
	enc, dec := msgpack.NewEncoder(m), msgpack.NewDecoder(m)
	b.ReportAllocs()
	for b.Loop() {
		var got Array[uint8]
		must(0, enc.Encode(a))
		must(0, dec.Decode(&got))
		sink = got.Data()[0]
		m.handlerReturned()
		m.begun()
		m.sent = m.sent[:0]
	}
}

// BenchmarkSlice gets the elements of an array that is mapped.
func BenchmarkSlice(b *testing.B) {
	a := benchArray(b, 4096)
	defer a.Release()
	for b.Loop() {
		if s, err := a.Slice(); err != nil || len(s) == 0 {
			b.Fatal(err)
		}
	}
}
