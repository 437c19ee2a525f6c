"""Errors, and how they cross the boundary to Go and back."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any, Dict, List, Optional, Type

_MAX_TEXT = 16 << 10
_MAX_TRACEBACK = 64 << 10


class ProtocolError(Exception):
    """The peer broke the protocol: nothing that follows on its connection can be trusted."""


class Cancelled(Exception):
    """The caller has given up, or the actor is asked to stop. Context.check raises it."""


class DeadlineExceeded(Cancelled, TimeoutError):
    """The call's deadline has passed."""


class RemoteError(Exception):
    """What another actor answered as its error.

    ``text`` is that actor's, ``type`` and ``traceback`` are those of its exception if it is
    written in Python, ``causes`` the names of what it wraps, such as ``io.EOF``.
    """

    def __init__(self, text: str, path: str = "", method: str = "", causes: Optional[List[str]] = None,
                 type: str = "", traceback: str = "") -> None:
        super().__init__(text)
        self.text, self.path, self.method = text, path, method
        self.causes, self.type, self.traceback = list(causes or []), type, traceback

    def __str__(self) -> str:
        return f"{self.path}: {self.method}: {self.text}" if self.path else self.text


class ActorDied(RemoteError):
    """The actor ended while it handled the call."""


# What Python calls what Go calls so. The first that fits counts.
_KNOWN: "list[tuple[type[BaseException], str]]" = [
    (DeadlineExceeded, "context.DeadlineExceeded"),
    (Cancelled, "context.Canceled"),
    (asyncio.CancelledError, "context.Canceled"),
    (asyncio.TimeoutError, "context.DeadlineExceeded"),
    (TimeoutError, "context.DeadlineExceeded"),
    (FileNotFoundError, "fs.ErrNotExist"),
    (FileExistsError, "fs.ErrExist"),
    (PermissionError, "fs.ErrPermission"),
    (EOFError, "io.EOF"),
    (NotImplementedError, "errors.ErrUnsupported"),
]


class Declared:
    """The exceptions that a kind declares, by the text under which Go knows them."""

    def __init__(self, kind: str = "", texts: Optional[Dict[Type[BaseException], str]] = None) -> None:
        self._names = [(cls, f"{kind}={text}") for cls, text in (texts or {}).items()]

    def names(self, e: BaseException) -> List[str]:
        """Return what Go finds with errors.Is in e and its causes."""
        found: List[str] = []
        seen = set()
        at: Optional[BaseException] = e
        while at is not None and id(at) not in seen:
            seen.add(id(at))
            if isinstance(at, RemoteError):
                found += at.causes
            found += [name for cls, name in self._names if isinstance(at, cls)]
            found += [name for cls, name in _KNOWN if isinstance(at, cls)][:1]
            at = at.__cause__
        return list(dict.fromkeys(found))

    def exception(self, e: RemoteError) -> BaseException:
        """Return the declared exception that an error means, or e itself."""
        for cls, name in self._names:
            if name in e.causes:
                mine = cls(e.text)
                mine.__cause__ = e
                return mine
        return e


def type_name(e: BaseException) -> str:
    t = type(e)
    return t.__qualname__ if t.__module__ in ("builtins", "__main__") else f"{t.__module__}.{t.__qualname__}"


_READ_ONLY = ("assignment destination is read-only", "output array is read-only", "cannot modify read-only memory",
              "cannot set WRITEABLE flag to True of this array")


def to_wire(e: BaseException, declared: Declared, is_: Optional[List[str]] = None) -> Dict[str, Any]:
    """Make the map that Go's side takes an error from."""
    words = str(e)
    if isinstance(e, (ValueError, TypeError)) and words in _READ_ONLY:
        words += ": an array that came in a message, or was sent in one, is read-only; .copy() to change it"
    name = type_name(e)
    frames = "".join(traceback.format_exception(type(e), e, e.__traceback__))
    w: Dict[str, Any] = {"text": (f"{name}: {words}" if words else name)[:_MAX_TEXT], "type": name,
                         "traceback": frames[-_MAX_TRACEBACK:]}
    names = (is_ or []) + declared.names(e)
    if names:
        w["is"] = names
    if isinstance(e, OSError) and e.errno:
        w["errno"] = e.errno
    return w


def refusal(text: str, *is_: str) -> Dict[str, Any]:
    """Make the map of an error that is no exception."""
    return {"text": text, "is": list(is_)} if is_ else {"text": text}


def from_wire(v: Any, path: str, method: str) -> RemoteError:
    """Make the error that a peer answered."""
    if isinstance(v, dict) and "text" in v:
        return RemoteError(str(v["text"]), path, method, [str(x) for x in v.get("is") or []],
                           str(v.get("type", "")), str(v.get("traceback", "")))
    if isinstance(v, (list, tuple)):
        v = next((x for x in v if isinstance(x, str)), v)
    return RemoteError(str(v), path, method)
