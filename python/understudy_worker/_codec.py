"""MessagePack as it is on the wire: limits, arrays, and what Python has that MessagePack has not."""

from __future__ import annotations

import dataclasses
from typing import Any, Iterable, List, Optional, Tuple

import msgpack

from . import _memory
from ._memory import Segment, numpy

MAX_DEPTH = 64
MAX_ELEMENTS = 1 << 20
MAX_SEGMENTS = 64

# The bytes that do not begin a list or a map of a length other than 0.
_OTHERS = bytes(b for b in range(256) if not 0x80 <= b <= 0x9F and not 0xDC <= b <= 0xDF)


class TravelError(ValueError):
    """A value cannot travel. ``name`` is Go's name of the reason, if it has one."""

    def __init__(self, text: str, name: str = "") -> None:
        super().__init__(text)
        self.name = name


def _pairs(pairs: Iterable[Tuple[Any, Any]]) -> dict:
    """Make a dict; a key that cannot be one becomes a tuple."""
    pairs = list(pairs)
    try:
        return dict(pairs)
    except TypeError:
        return {_key(k): v for k, v in pairs}


def _key(k: Any) -> Any:
    if isinstance(k, list):
        return tuple(_key(x) for x in k)
    if isinstance(k, dict):
        return tuple((_key(a), _key(b)) for a, b in k.items())
    return k


_UNPACK = {"raw": False, "unicode_errors": "surrogateescape", "strict_map_key": False, "timestamp": 3, "object_pairs_hook": _pairs}


def unpacker() -> msgpack.Unpacker:
    """Return what takes messages off a stream."""
    return msgpack.Unpacker(max_buffer_size=(1 << 31) - 1, **_UNPACK)


def unpack(b: Any) -> Any:
    """Decode one whole value, of any size."""
    n = max(len(b), 1)
    return msgpack.unpackb(b, max_str_len=n, max_bin_len=n, max_array_len=n, max_map_len=n, max_ext_len=n, **_UNPACK)


class Encoder:
    """Encodes messages for one thread. ``segments`` are those of the last message's arrays."""

    def __init__(self) -> None:
        self.segments: List[Segment] = []
        self._packer = self._fresh()

    def _fresh(self) -> msgpack.Packer:
        return msgpack.Packer(default=self._default, datetime=True, unicode_errors="surrogateescape")

    def pack(self, message: list, max_message: int = 0) -> bytes:
        """Encode a message. The error, if it is a user's value that cannot travel, is a TravelError."""
        self.segments = []
        try:
            body = self._packer.pack(message)
        except (TypeError, ValueError, OverflowError) as e:  # what was packed already stays in the packer
            self._packer = self._fresh()
            if isinstance(e, OverflowError):
                raise TravelError(f"an integer that does not fit into 64 bits cannot travel ({e})") from e
            if isinstance(e, ValueError) and "recursion" in str(e):
                raise TravelError("the value has too many levels, or contains itself", "actor.ErrTooDeep") from e
            if isinstance(e, TravelError):
                raise
            raise TravelError(f"the value cannot travel: {e}") from e
        except BaseException:
            self._packer = self._fresh()
            raise
        if len(self.segments) > MAX_SEGMENTS:
            raise TravelError(f"arrays of {len(self.segments)} segments, {MAX_SEGMENTS} is the most", "actor.ErrTooManySegments")
        if max_message and len(body) > max_message:
            raise TravelError(f"{len(body)} bytes, {max_message} is the most", "actor.ErrTooLarge")
        if len(body) > MAX_DEPTH and len(body.translate(None, _OTHERS)) > MAX_DEPTH or len(body) > MAX_ELEMENTS:
            _check(message)
        return body

    def carry(self, segment: Segment) -> int:
        """Take a segment along and return its index in the message."""
        for i, s in enumerate(self.segments):
            if s is segment:
                return i
        self.segments.append(segment)
        return len(self.segments) - 1

    def _default(self, v: Any) -> Any:
        if numpy is not None:
            if isinstance(v, numpy.ndarray):
                return v.item() if v.ndim == 0 and v.dtype != object else _memory.to_reference(v, self.carry)
            if isinstance(v, numpy.generic):
                return v.item()
        if isinstance(v, _memory.View):
            return _memory.to_reference(v.memory, self.carry)
        wire = getattr(v, "_understudy_wire", None)
        if wire is not None:
            return wire()
        if dataclasses.is_dataclass(v) and not isinstance(v, type):
            return {f.name: getattr(v, f.name) for f in dataclasses.fields(v)}
        raise TypeError(f"{type(v).__qualname__} is no number, string, bytes, list, dict, array, datetime with a zone, or dataclass")


def _check(message: Any) -> None:
    """Refuse what the other side would end the connection for. A level is a list of its containers."""
    elements, level, depth = 0, [message], 0
    while level:
        if depth > MAX_DEPTH + 1:  # the message itself is no level of the value, nor is the list of arguments
            raise TravelError(f"the value has more than {MAX_DEPTH} levels", "actor.ErrTooDeep")
        depth += 1
        below: List[Any] = []
        for v in level:
            if isinstance(v, dict):
                elements += 2 * len(v)
                below += [x for x in v.values() if isinstance(x, (list, tuple, dict))]
            else:
                elements += len(v)
                below += [x for x in v if isinstance(x, (list, tuple, dict))]
        if elements > MAX_ELEMENTS:
            raise TravelError(f"the value has more than {MAX_ELEMENTS} elements", "actor.ErrTooManyElements")
        level = below


def meta(deadline: int = 0, chain: Optional[List[int]] = None, segments: Optional[List[int]] = None,
         trace: Optional[dict] = None) -> list:
    """Make a message's metadata. Zero elements are nil, and left out at the end."""
    m: List[Any] = [deadline or None, chain or None, segments or None, trace or None]
    while m and m[-1] is None:
        m.pop()
    return m
