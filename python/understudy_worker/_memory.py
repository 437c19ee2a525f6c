"""Memory that passes between processes by descriptor, and arrays in it.

A segment is a memfd. It is mapped when an array in it is first looked at. The
mapping ends when the last view of it has died and the peer has said that it will
not refer to the segment again.
"""

from __future__ import annotations

import bisect
import ctypes
import errno
import fcntl
import itertools
import math
import mmap
import os
import threading
import weakref
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

try:
    import numpy
except ImportError:  # arrays are memoryviews then
    numpy = None  # type: ignore[assignment]

from ._errors import ProtocolError

FROZEN = 1  # written by its maker, then sealed against writing
SHARED = 2  # written by all who have it

# F_ADD_SEALS of the three kinds of memory.
_SEAL_SIZE = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW
_SEAL_FUTURE_WRITE = 0x10

MAX_DIMS = 32

# The element types on the wire: number -> numpy's name, memoryview's format, size, alignment.
KINDS: Dict[int, Tuple[str, str, int, int]] = {
    1: ("int8", "b", 1, 1),
    2: ("int16", "h", 2, 2),
    3: ("int32", "i", 4, 4),
    4: ("int64", "q", 8, 8),
    5: ("uint8", "B", 1, 1),
    6: ("uint16", "H", 2, 2),
    7: ("uint32", "I", 4, 4),
    8: ("uint64", "Q", 8, 8),
    9: ("float32", "f", 4, 4),
    10: ("float64", "d", 8, 8),
    11: ("complex64", "", 8, 4),
    12: ("complex128", "", 16, 8),
}
_NUMBERS = {name: number for number, (name, _, _, _) in KINDS.items()}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_MAP_FAILED = ctypes.c_void_p(-1).value
_MAP_FIXED = 0x10


def _map(address: Optional[int], size: int, prot: int, flags: int, fd: int) -> int:
    at = _libc.mmap(address, size, prot, flags, fd, 0)
    if at == _MAP_FAILED:
        code = ctypes.get_errno()
        raise OSError(code, f"mmap of {size} bytes: {os.strerror(code)}")
    return at


class Segment:
    """One piece of memory, made here or received.

    ``fd`` is the descriptor, ``buffer`` the mapped memory, which keeps the mapping.
    """

    _ids = itertools.count(1)

    def __init__(self, fd: int, size: int, mode: int, made: bool = False) -> None:
        self.id = next(Segment._ids)
        self.fd = fd
        self.size = size
        self.mode = mode
        self.frozen = not made and mode == FROZEN
        self.ends: List[Callable[[int], None]] = []  # called with the id when the memory is gone
        self._buffer: Optional[weakref.ref] = None
        self._address = 0
        self._closer = weakref.finalize(self, os.close, fd)
        self._closer.atexit = False

    def buffer(self) -> Any:
        """Return the memory as an object that keeps its mapping alive."""
        have = self._buffer() if self._buffer is not None else None
        if have is None:
            if self.frozen:
                at = _map(None, self.size, mmap.PROT_READ, mmap.MAP_PRIVATE, self.fd)
            else:
                at = _map(None, self.size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, self.fd)
            have = (ctypes.c_ubyte * self.size).from_address(at)
            end = weakref.finalize(have, _unmap, self, at)
            end.atexit = False
            self._buffer, self._address = weakref.ref(have), at
            _mapped.add(at, self)
        return have

    def freeze(self) -> None:
        """Make the memory read-only for good, in every process."""
        if self.frozen or self.mode != FROZEN:
            return
        have = self._buffer() if self._buffer is not None else None
        if have is not None:
            _map(self._address, self.size, mmap.PROT_READ, mmap.MAP_PRIVATE | _MAP_FIXED, self.fd)
        try:
            fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
        except OSError as e:
            if have is not None:
                _map(self._address, self.size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED | _MAP_FIXED, self.fd)
            if e.errno == errno.EBUSY:
                raise OSError(e.errno, "the array cannot be frozen: a process forked from this one can still write to it") from None
            raise
        self.frozen = True

    def bytes(self) -> memoryview:
        """Return the memory as bytes, read-only unless it may be written to."""
        view = memoryview(self.buffer()).cast("B")
        return view.toreadonly() if self.frozen else view


def _unmap(segment: Segment, address: int) -> None:
    _mapped.remove(address)
    _libc.munmap(address, segment.size)
    ends, segment.ends = segment.ends, []
    for end in ends:
        end(segment.id)


class _Mapped:
    """The mapped segments by address: how an array that is sent is found to lie in one."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a finalizer may come in at any time
        self._addresses: List[int] = []
        self._segments: Dict[int, "weakref.ref[Segment]"] = {}

    def add(self, address: int, segment: Segment) -> None:
        with self._lock:
            bisect.insort(self._addresses, address)
            self._segments[address] = weakref.ref(segment)

    def remove(self, address: int) -> None:
        with self._lock:
            if self._segments.pop(address, None) is not None:
                self._addresses.remove(address)

    def find(self, address: int, size: int) -> Tuple[Optional[Segment], int]:
        """Return the segment in which size bytes at address lie, and the offset in it."""
        with self._lock:
            i = bisect.bisect_right(self._addresses, address) - 1
            if i < 0:
                return None, 0
            start = self._addresses[i]
            segment = self._segments[start]()
        if segment is None or address + size > start + segment.size:
            return None, 0
        return segment, address - start


_mapped = _Mapped()


def create(size: int, mode: int = FROZEN) -> Segment:
    """Make a segment of zeros, all of its memory allocated now."""
    fd = os.memfd_create("understudy", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        os.posix_fallocate(fd, 0, size)
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEAL_SIZE | (fcntl.F_SEAL_SEAL if mode == SHARED else 0))
    except BaseException:
        os.close(fd)
        raise
    return Segment(fd, size, mode, made=True)


def from_peer(fd: int, size: int, mode: int) -> Segment:
    """Check a descriptor that a peer announced, by the kernel's word, and take it over."""
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        have = os.fstat(fd)
    except OSError as e:
        os.close(fd)
        raise ProtocolError(f"announced segment is no memory file: {e}") from None
    want = _SEAL_SIZE | (fcntl.F_SEAL_WRITE if mode == FROZEN else 0)
    if mode not in (FROZEN, SHARED) or seals & want != want or size <= 0 or have.st_size != size or have.st_blocks * 512 < size:
        os.close(fd)
        raise ProtocolError(f"announced segment: mode {mode}, {size} bytes, has {have.st_size} and seals {seals:#x}")
    return Segment(fd, size, mode)


class Page:
    """A page that this process writes and its peer can only read."""

    def __init__(self, size: int = 4096) -> None:
        self.fd = os.memfd_create("understudy-progress", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.posix_fallocate(self.fd, 0, size)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEAL_SIZE)
        self._map = mmap.mmap(self.fd, size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        fcntl.fcntl(self.fd, fcntl.F_ADD_SEALS, _SEAL_FUTURE_WRITE)
        self.words = memoryview(self._map).cast("Q")

    def sent(self) -> None:
        """Close the descriptor: the peer has its own."""
        os.close(self.fd)


def open_page(fd: int, size: int = 4096) -> memoryview:
    """Map a peer's page for reading, as words of 64 bits. It takes fd over."""
    try:
        seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
        if os.fstat(fd).st_size != size or seals & _SEAL_SIZE != _SEAL_SIZE:
            raise ProtocolError("a progress page that can change its size")
        return memoryview(mmap.mmap(fd, size, mmap.MAP_SHARED, mmap.PROT_READ)).cast("Q")
    finally:
        os.close(fd)


# Arrays.


class View:
    """Marks memory that is to travel as an array where numpy is missing: memoryviews are bytes otherwise."""

    def __init__(self, memory: memoryview) -> None:
        self.memory = memory


def empty(shape: "int | Sequence[int]", dtype: Any = "float64", shared: bool = False) -> Any:
    """Make an array in memory that goes to other processes without a copy.

    It is written here until it is sent for the first time, which freezes it for good
    (writing to it after that is a fault), or by everybody if it is shared: then
    messages must say whose turn it is. Its elements are zero.

    With numpy it is an ndarray, else a memoryview.
    """
    dims = [int(shape)] if isinstance(shape, int) or not hasattr(shape, "__iter__") else [int(d) for d in shape]
    name = numpy.dtype(dtype).name if numpy is not None else str(dtype)
    number = _NUMBERS.get(name)
    if number is None:
        raise TypeError(f"arrays of {name} cannot travel: numbers of a fixed size can")
    if not dims or len(dims) > MAX_DIMS or any(d < 0 for d in dims):
        raise ValueError(f"impossible shape {tuple(dims)}")
    size = math.prod(dims) * KINDS[number][2]
    if size == 0:
        return _view(None, 0, number, dims)
    segment = create(size, SHARED if shared else FROZEN)
    return _view(segment, 0, number, dims)


def _view(segment: Optional[Segment], offset: int, number: int, shape: Sequence[int]) -> Any:
    name, form, size, _ = KINDS[number]
    if numpy is not None:
        if segment is None:
            return numpy.zeros(shape, name)
        memory = memoryview(segment.buffer())
        if segment.frozen:
            memory = memory.toreadonly()
        return numpy.frombuffer(memory, name, math.prod(shape), offset).reshape(shape)
    if not form:
        raise TypeError(f"an array of {name} needs numpy")
    if segment is None:
        return memoryview(b"").cast("B").cast(form)
    flat = segment.bytes()[offset : offset + math.prod(shape) * size]
    return flat.cast(form, list(shape)) if len(shape) > 1 else flat.cast(form)


def is_reference(v: Any, segments: int) -> bool:
    """Report whether a list is a reference to an array: [index, offset, length, type, shape...]."""
    if type(v) is not list or not 5 <= len(v) <= 4 + MAX_DIMS:
        return False
    index = v[0]
    for x in v[1:]:
        if type(x) is not int or x < 0:
            return False
    if v[3] not in KINDS or math.prod(v[4:]) != v[2] or v[1] % KINDS[v[3]][3]:
        return False
    if index is None:
        return v[1] == 0 and v[2] == 0
    return type(index) is int and 0 <= index < segments and v[2] > 0


def from_reference(v: Sequence[Any], segments: Sequence[Segment]) -> Any:
    """Make the array that a reference means."""
    if v[0] is None:
        return _view(None, 0, v[3], v[4:])
    segment = segments[v[0]]
    if v[1] + v[2] * KINDS[v[3]][2] > segment.size:
        raise ProtocolError(f"array of {v[2]} elements at {v[1]} leaves its segment of {segment.size} bytes")
    return _view(segment, v[1], v[3], v[4:])


def resolve(v: Any, segments: Sequence[Segment]) -> Any:
    """Replace the references in a message by arrays, wherever they are."""
    if type(v) is list:
        if is_reference(v, len(segments)):
            return from_reference(v, segments)
        for i, x in enumerate(v):
            if type(x) in (list, dict):
                v[i] = resolve(x, segments)
    elif type(v) is dict:
        for k, x in v.items():
            if type(x) in (list, dict):
                v[k] = resolve(x, segments)
    return v


def resolve_empty(v: Any) -> None:
    """Replace the references to empty arrays in a message without segments: among arguments and the fields of maps."""
    for k, x in enumerate(v) if type(v) is list else list(v.items()):
        if type(x) is list:
            if x and x[0] is None and is_reference(x, 0):
                v[k] = from_reference(x, ())
        elif type(x) is dict:
            resolve_empty(x)


def to_reference(a: Any, carry: Callable[[Segment], int]) -> List[Any]:
    """Make the reference of an ndarray or memoryview. What does not lie in memory that can travel is copied there once."""
    if numpy is not None and isinstance(a, numpy.ndarray):
        return _ndarray_reference(a, carry)
    view = memoryview(a)
    number = next((n for n, k in KINDS.items() if k[1] == view.format), None)
    if number is None:
        raise TypeError(f"memory of format {view.format!r} cannot travel as an array")
    shape = list(view.shape or [view.nbytes // view.itemsize])
    if view.nbytes == 0:
        return [None, 0, 0, number, *shape]
    segment, offset = None, 0
    if view.c_contiguous:
        if view.readonly:
            segment, offset = _find_readonly(view)
        else:
            segment, offset = _mapped.find(ctypes.addressof(ctypes.c_char.from_buffer(view)), view.nbytes)
    if segment is None:
        segment = create(view.nbytes)
        segment.bytes()[:] = view.tobytes()
    segment.freeze()
    return [carry(segment), offset, view.nbytes // view.itemsize, number, *shape]


def _find_readonly(view: memoryview) -> Tuple[Optional[Segment], int]:
    if numpy is None:
        return None, 0  # there is no way to its address: it is copied
    a = numpy.frombuffer(view, "uint8")
    return _mapped.find(a.__array_interface__["data"][0], view.nbytes)


def _ndarray_reference(a: Any, carry: Callable[[Segment], int]) -> List[Any]:
    name = a.dtype.name if a.dtype.isnative else a.dtype.newbyteorder("=").name
    number = _NUMBERS.get(name)
    if number is None:
        raise TypeError(f"an array of {a.dtype} cannot travel: arrays of numbers of a fixed size can (.astype)")
    if a.ndim > MAX_DIMS:
        raise TypeError(f"an array of {a.ndim} dimensions cannot travel, {MAX_DIMS} is the most")
    if a.ndim == 0:
        a = a.reshape(1)
    if a.size == 0:
        return [None, 0, 0, number, *a.shape]
    if a.dtype.isnative and a.flags.c_contiguous:
        segment, offset = _mapped.find(a.__array_interface__["data"][0], a.nbytes)
        if segment is not None and offset % KINDS[number][3] == 0:
            segment.freeze()
            if segment.frozen and a.flags.writeable:
                a.flags.writeable = False
            return [carry(segment), offset, a.size, number, *a.shape]
    copy = empty(a.shape, name)
    copy[...] = a
    return _ndarray_reference(copy, carry)
