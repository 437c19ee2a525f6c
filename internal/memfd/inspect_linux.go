package memfd

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/understudy-go/understudy/internal/sys"
)

// ID tells one memory file from any other on this machine.
type ID [2]uint64 // device, number

// Want is what memory from a peer must be. It must always be a memory file of exactly Size bytes, all of them allocated
// and sealed against resizing.
type Want struct {
	Size      int64
	Sealed    int  // further seals that it must have, of unix.F_SEAL_*
	NotSealed int  // seals that it must not have
	Writable  bool // the descriptor must allow a shared writable mapping; else reading is enough
}

// Inspect tests a descriptor by the kernel's word, without mapping it, and returns which memory it is. The error is a
// *RefusedError. The file stays the caller's.
func Inspect(f *os.File, want Want) (id ID, err error) {
	if berr := sys.Borrow(f, func(fd int) error { id, err = inspect(fd, want); return nil }); berr != nil {
		return ID{}, &RefusedError{"closed descriptor", berr}
	}
	return id, err
}

func inspect(fd int, want Want) (ID, error) {
	refuse := func(err error, format string, args ...any) (ID, error) {
		return ID{}, &RefusedError{fmt.Sprintf(format, args...), err}
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return refuse(os.NewSyscallError("fstat", err), "unknown file")
	}
	flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
	if err != nil {
		return refuse(os.NewSyscallError("fcntl F_GETFL", err), "unknown file")
	}
	if kind := st.Mode & unix.S_IFMT; kind != unix.S_IFREG {
		return refuse(nil, "not a memfd but a file of type %#o", kind)
	}
	seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0)
	if err != nil {
		return refuse(os.NewSyscallError("fcntl F_GET_SEALS", err), "not a memfd")
	}
	const fixed = unix.F_SEAL_SHRINK | unix.F_SEAL_GROW
	switch {
	case want.Size <= 0:
		return refuse(nil, "impossible size")
	case seals&fixed != fixed:
		return refuse(nil, "not sealed against resizing (seals %#x)", seals)
	case seals&want.Sealed != want.Sealed:
		return refuse(nil, "not sealed against writing (seals %#x)", seals)
	case seals&want.NotSealed != 0:
		return refuse(nil, "sealed against writing (seals %#x)", seals)
	case st.Size != want.Size:
		return refuse(nil, "its size is %d", st.Size)
	case st.Blocks*512 < want.Size:
		// A hole would be filled on first touch, on this process's account, or end it if nothing is left.
		return refuse(nil, "only %d bytes of it are allocated", st.Blocks*512)
	}
	mode := unix.O_RDONLY
	if want.Writable {
		mode = unix.O_RDWR
	}
	if have := flags & unix.O_ACCMODE; have != unix.O_RDWR && have != mode {
		return refuse(nil, "open in a way that cannot be mapped (flags %#x)", flags)
	}
	return ID{uint64(st.Dev), st.Ino}, nil
}
