package segment

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/memfd"
	"github.com/understudy-go/understudy/internal/sys"
)

// memfds reports whether this system has sealed memory that passes between processes.
const memfds = true

// memoryName is what /proc/PID/maps and /proc/PID/fd show. It is no name in any directory.
const memoryName = "understudy"

// createMemory makes a memfd of which every page is allocated and whose size is sealed.
func createMemory(size int64, mode Mode) (*os.File, inode, error) {
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	if mode == Shared {
		seals |= unix.F_SEAL_SEAL // else any holder could take the right to write from the others
	}
	f, err := memfd.Create(memoryName, size, seals)
	if err != nil {
		return nil, inode{}, err
	}
	id, err := memfd.Inspect(f, memfd.Want{Size: size, Writable: true})
	if err != nil {
		_ = f.Close()
		return nil, inode{}, err
	}
	return f, inode(id), nil
}

// shortage says what memfd.Create's error means for an array: how many bytes were left where err names a limit,
// otherwise -1, and the error, which is ErrNoMemory if there is no room.
func shortage(err error) (left int64, _ error) {
	if room := new(memfd.RoomError); errors.As(err, &room) {
		return room.Left, fmt.Errorf("%w %s", ErrNoMemory, room.Where)
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.ENOMEM) {
		err = fmt.Errorf("%w: %w", ErrNoMemory, err)
	}
	return -1, err
}

// mapMemory maps a segment. Read-only mappings are private ones: they show the same pages, but do not count as ones
// that could be made writable, for which kernels before 6.7 refuse them on a write-sealed memfd, and all kernels
// refuse the seal.
func mapMemory(f *os.File, size int64, writable bool) (unsafe.Pointer, error) {
	prot, flags := unix.PROT_READ, unix.MAP_PRIVATE
	if writable {
		prot, flags = unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED
	}
	return mapAt(f, nil, size, prot, flags)
}

func mapAt(f *os.File, addr unsafe.Pointer, size int64, prot, flags int) (p unsafe.Pointer, err error) {
	err = sys.Borrow(f, func(fd int) (err error) {
		p, err = unix.MmapPtr(fd, 0, addr, uintptr(size), prot, flags)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("shm: map %s: %w", FormatBytes(size), err)
	}
	return p, nil
}

// freezeMemory lays a read-only mapping over the writable one at addr and forbids new ones, in this order: the seal
// is refused while a writable mapping lives. Readers of the range notice nothing.
func freezeMemory(f *os.File, addr unsafe.Pointer, size int64) error {
	if _, err := mapAt(f, addr, size, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_FIXED); err != nil {
		return err
	}
	err := memfd.Seal(f, unix.F_SEAL_WRITE)
	if err == nil {
		return nil
	}
	if errors.Is(err, unix.EBUSY) {
		err = fmt.Errorf("another writable mapping of it lives in this process or one forked from it: %w", err)
	}
	// Not frozen: the maker may still write.
	_, back := mapAt(f, addr, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
	return errors.Join(err, back)
}

// inspect tests a peer's descriptor without mapping it and returns its identity.
func inspect(f *os.File, size int64, mode Mode) (inode, error) {
	want := memfd.Want{Size: size}
	switch mode {
	case Frozen:
		want.Sealed = unix.F_SEAL_WRITE
	case Shared:
		want.NotSealed, want.Writable = unix.F_SEAL_WRITE|unix.F_SEAL_FUTURE_WRITE, true
	default:
		return inode{}, &SegmentError{Mode: mode, Size: size, Reason: "unknown mode"}
	}
	id, err := memfd.Inspect(f, want)
	if refused := new(memfd.RefusedError); errors.As(err, &refused) {
		return inode{}, &SegmentError{Mode: mode, Size: size, Reason: refused.Reason, Err: refused.Err}
	}
	return inode(id), err
}

// fence makes a mapping inaccessible, gives back its memory and keeps its addresses.
func fence(addr unsafe.Pointer, size int64) bool {
	_, err := unix.MmapPtr(-1, 0, addr, uintptr(size), unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED)
	return err == nil
}

// unmapMemory ends a mapping. It can only fail where the process is out of mappings (vm.max_map_count) and the range
// lies amidst another one of the same kind; then its memory stays mapped, which does no harm.
func unmapMemory(addr unsafe.Pointer, size int64) {
	_ = unix.MunmapPtr(addr, uintptr(size))
}
