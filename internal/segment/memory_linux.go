package segment

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// memfds reports whether this system has sealed memory that passes between processes.
const memfds = true

// memoryName is what /proc/PID/maps and /proc/PID/fd show. It is no name in any directory.
const memoryName = "understudy"

// plainFlags is set when the kernel does not know MFD_NOEXEC_SEAL (before Linux 6.3). With vm.memfd_noexec=2 memfds
// are refused without it, hence it is always tried first.
var plainFlags atomic.Bool

// fallocate is a variable for the tests, which cannot fill the machine.
var fallocate = unix.Fallocate

// createMemory makes a memfd of which every page is allocated and whose size is sealed.
func createMemory(size int64, mode Mode) (*os.File, inode, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := -1, error(unix.EINVAL)
	if !plainFlags.Load() {
		fd, err = unix.MemfdCreate(memoryName, flags|unix.MFD_NOEXEC_SEAL)
	}
	if errors.Is(err, unix.EINVAL) {
		if fd, err = unix.MemfdCreate(memoryName, flags); err == nil {
			plainFlags.Store(true)
		}
	}
	if err != nil {
		return nil, inode{}, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "memfd:"+memoryName)
	if err := fillMemory(fd, size); err != nil {
		_ = f.Close()
		return nil, inode{}, err
	}
	seals := unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	if mode == Shared {
		seals |= unix.F_SEAL_SEAL // else any holder could take the right to write from the others
	}
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, seals); err != nil {
		_ = f.Close()
		return nil, inode{}, os.NewSyscallError("fcntl F_ADD_SEALS", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		_ = f.Close()
		return nil, inode{}, os.NewSyscallError("fstat", err)
	}
	return f, inode{uint64(st.Dev), st.Ino}, nil
}

// fillMemory allocates all pages, so that no access can run out of memory later. An interrupted fallocate gives back
// what that call had allocated: one call for everything would never end under a profiler's timer, so it goes in
// pieces, which get smaller with each interruption.
func fillMemory(fd int, size int64) error {
	piece := int64(64 << 20)
	for off := int64(0); off < size; {
		n := min(piece, size-off)
		switch err := fallocate(fd, 0, off, n); err {
		case nil:
			off += n
		case unix.EINTR:
			piece = max(piece/2, 1<<20)
		default:
			return os.NewSyscallError("fallocate", err)
		}
	}
	return nil
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
	cerr := control(f, func(fd int) {
		p, err = unix.MmapPtr(fd, 0, addr, uintptr(size), prot, flags)
	})
	if err = errors.Join(cerr, err); err != nil {
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
	var err error
	cerr := control(f, func(fd int) {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
	})
	if cerr == nil && err == nil {
		return nil
	}
	if errors.Is(err, unix.EBUSY) {
		err = fmt.Errorf("another writable mapping of it lives in this process or one forked from it: %w", err)
	}
	// Not frozen: the maker may still write.
	_, back := mapAt(f, addr, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_FIXED)
	return errors.Join(cerr, err, back)
}

// inspect tests a peer's descriptor without mapping it and returns its identity.
func inspect(f *os.File, size int64, mode Mode) (inode, error) {
	bad := func(err error, format string, args ...any) (inode, error) {
		return inode{}, &SegmentError{Mode: mode, Size: size, Reason: fmt.Sprintf(format, args...), Err: err}
	}
	const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	const write = unix.F_SEAL_WRITE | unix.F_SEAL_FUTURE_WRITE
	var (
		st                        unix.Stat_t
		seals, access             int
		statErr, sealErr, openErr error
	)
	if err := control(f, func(fd int) {
		statErr = unix.Fstat(fd, &st)
		seals, sealErr = unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
		access, openErr = unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	}); err != nil {
		return bad(err, "closed descriptor")
	}
	switch {
	case mode != Frozen && mode != Shared:
		return bad(nil, "unknown mode")
	case size <= 0:
		return bad(nil, "impossible size")
	case statErr != nil:
		return bad(os.NewSyscallError("fstat", statErr), "unknown file")
	case openErr != nil:
		return bad(os.NewSyscallError("fcntl F_GETFL", openErr), "unknown file")
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return bad(nil, "not a memfd but a file of type %#o", st.Mode&unix.S_IFMT)
	case sealErr != nil:
		return bad(os.NewSyscallError("fcntl F_GET_SEALS", sealErr), "not a memfd")
	case seals&fixed != fixed:
		return bad(nil, "not sealed against resizing (seals %#x)", seals)
	case mode == Frozen && seals&unix.F_SEAL_WRITE == 0:
		return bad(nil, "not sealed against writing (seals %#x)", seals)
	case mode == Shared && seals&write != 0:
		return bad(nil, "sealed against writing (seals %#x)", seals)
	case st.Size != size:
		return bad(nil, "its size is %d", st.Size)
	case st.Blocks*512 < size:
		// A hole would be filled on first touch, on this process's account, or end it if nothing is left.
		return bad(nil, "only %d bytes of it are allocated", st.Blocks*512)
	}
	want := unix.O_RDONLY
	if mode == Shared {
		want = unix.O_RDWR
	}
	if have := access & unix.O_ACCMODE; have != unix.O_RDWR && have != want {
		return bad(nil, "open in a way that cannot be mapped (flags %#x)", access)
	}
	return inode{uint64(st.Dev), st.Ino}, nil
}

// fence makes a mapping inaccessible, gives back its memory and keeps its addresses.
func fence(addr unsafe.Pointer, size int64) bool {
	_, err := unix.MmapPtr(-1, 0, addr, uintptr(size), unix.PROT_NONE,
		unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE|unix.MAP_FIXED)
	return err == nil
}

// unmapMemory ends a mapping. It can only fail where the process is out of mappings (vm.max_map_count) and the range
// lies amidst another one of the same kind; then its memory stays mapped, which harms nobody.
func unmapMemory(addr unsafe.Pointer, size int64) {
	_ = unix.MunmapPtr(addr, uintptr(size))
}

// control runs fn with the descriptor, which is not closed meanwhile.
func control(f *os.File, fn func(fd int)) error {
	rc, err := f.SyscallConn()
	if err != nil {
		return err
	}
	return rc.Control(func(fd uintptr) { fn(int(fd)) })
}
