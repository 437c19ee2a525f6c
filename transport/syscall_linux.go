package transport

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The system calls below are made without the wrappers of x/sys, which build
// (and for recvmsg also clear and parse) a header with an address on each
// call. All of them return at once: MSG_DONTWAIT holds even if other code made
// the description blocking (golang/go#43894).

const (
	// MSG_NOSIGNAL: a peer that is gone is an error, not a SIGPIPE that the
	// program may have asked to be told about.
	sendFlags = unix.MSG_DONTWAIT | unix.MSG_NOSIGNAL

	// MSG_CMSG_CLOEXEC: a descriptor must never exist without the flag, or
	// a process started at that moment inherits it.
	recvFlags = unix.MSG_DONTWAIT | unix.MSG_CMSG_CLOEXEC
)

// send writes some of p, which is not empty.
func send(fd int, p []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_SENDTO, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), sendFlags, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// sendFiles writes some of p, with descriptors attached to its first byte.
func sendFiles(fd int, p []byte, fds []int) (int, unix.Errno) {
	rights := unix.UnixRights(fds...)
	for {
		n, err := unix.SendmsgN(fd, p, rights, nil, sendFlags)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, err.(unix.Errno) // the wrapper returns nothing else
		}
		return n, 0
	}
}

// recv reads into p, which is not empty. Descriptors that were sent along are
// closed by the kernel.
func recv(fd int, p []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVFROM, uintptr(fd),
			uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), recvFlags, 0, 0)
		switch errno {
		case 0:
			return int(n), 0
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// A filesReceiver is a recvmsg header that is built once.
type filesReceiver struct {
	header unix.Msghdr
	iov    unix.Iovec
	rights []byte
}

func newFilesReceiver() *filesReceiver {
	r := &filesReceiver{rights: make([]byte, unix.CmsgSpace(4*maxFiles))}
	r.header.Iov = &r.iov
	r.header.SetIovlen(1)
	r.header.Control = &r.rights[0]
	return r
}

// recv reads into p, which is not empty, together with at most maxFiles
// descriptors; truncated says that more were sent, or that this process has no
// room for them.
func (r *filesReceiver) recv(fd int, p []byte) (n int, fds []int, truncated bool, errno unix.Errno) {
	r.iov.Base = unsafe.SliceData(p)
	r.iov.SetLen(len(p))
	for {
		r.header.SetControllen(len(r.rights))
		r.header.Flags = 0
		got, _, errno := unix.Syscall(unix.SYS_RECVMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.header)), recvFlags)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			return 0, nil, false, errno
		}
		if r.header.Controllen > 0 {
			fds = parseRights(r.rights[:r.header.Controllen])
		}
		return int(got), fds, r.header.Flags&unix.MSG_CTRUNC != 0, 0
	}
}

// parseRights returns the descriptors in the control messages that the kernel
// wrote. What is not about descriptors is passed over.
func parseRights(control []byte) []int {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	var fds []int
	for i := range messages {
		if got, err := unix.ParseUnixRights(&messages[i]); err == nil {
			fds = append(fds, got...)
		}
	}
	return fds
}
