package main

import (
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// rawMemory makes, seals and ends a memory file with the bare system calls, and
// says how long it took to have it (allocated and mapped for writing) and to
// seal it against writing (with a mapping for reading at the same address).
func rawMemory(size int) (allocate, seal time.Duration, err error) {
	start := time.Now()
	fd, err := unix.MemfdCreate("floor", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return 0, 0, fmt.Errorf("raw memfd: %w", err)
	}
	defer unix.Close(fd)
	// In pieces, because a signal makes it begin again from the start.
	for at := int64(0); at < int64(size); {
		n := min(64<<20, int64(size)-at)
		if err := unix.Fallocate(fd, 0, at, n); err == nil {
			at += n
		} else if err != unix.EINTR {
			return 0, 0, fmt.Errorf("raw memfd of %d bytes: %w", size, err)
		}
	}
	mem, err := unix.MmapPtr(fd, 0, nil, uintptr(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return 0, 0, fmt.Errorf("raw memfd of %d bytes: mapping: %w", size, err)
	}
	defer func() { _ = unix.MunmapPtr(mem, uintptr(size)) }()
	allocate = time.Since(start)
	*(*byte)(mem), *(*byte)(unsafe.Add(mem, size-1)) = 1, 1 // it is used as ours is
	start = time.Now()
	if _, err := unix.MmapPtr(fd, 0, mem, uintptr(size), unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
		return 0, 0, fmt.Errorf("raw memfd of %d bytes: mapping for reading: %w", size, err)
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != nil {
		return 0, 0, fmt.Errorf("raw memfd of %d bytes: sealing: %w", size, err)
	}
	return allocate, time.Since(start), nil
}
