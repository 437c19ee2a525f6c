"""References to other actors, and the messages that go to them."""

from __future__ import annotations

import collections
import os
import select
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, Deque, List, Optional

from . import _memory
from ._codec import meta
from ._conn import CONTROL_BIT, NOTIFY, REQUEST, RESPONSE, Closed, Conn
from ._context import current
from ._errors import ActorDied, DeadlineExceeded, ProtocolError, RemoteError, from_wire

if TYPE_CHECKING:
    from ._worker import Worker

_CAPACITY = 1024


class Ref:
    """A reference to an actor: a path that follows restarts, or one incarnation of it.

    It comes in messages (a parameter that is annotated with Ref is one) and goes in them.
    """

    __slots__ = ("path", "kind", "incarnation")

    def __init__(self, path: str, kind: str, incarnation: str = "") -> None:
        self.path, self.kind, self.incarnation = path, kind, incarnation

    def _understudy_wire(self) -> List[str]:
        return [self.path, self.kind, self.incarnation]

    def __repr__(self) -> str:
        return f"Ref({self.path!r}, {self.kind!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and self._understudy_wire() == other._understudy_wire()

    def __hash__(self) -> int:
        return hash((self.path, self.kind, self.incarnation))

    def call(self, method: str, *args: Any, timeout: Optional[float] = None) -> Any:
        """Send a request and return the response. The deadline of the message in hand holds for it, too."""
        return _worker().to(self).send(self, method, args, timeout, True)

    def cast(self, method: str, *args: Any, timeout: Optional[float] = None) -> None:
        """Send a message without awaiting its handling."""
        _worker().to(self).send(self, method, args, timeout, False)


def _worker() -> "Worker":
    from . import _worker as module

    if module._worker is None:
        raise RuntimeError("references are for an actor's process")
    return module._worker


class _Sent:
    """A message that is not known to be begun."""

    __slots__ = ("position", "message", "meta")

    def __init__(self, position: int, message: list, meta: list) -> None:
        self.position, self.message, self.meta = position, message, meta


class Target:
    """This process's end towards one path: it keeps order, and takes what is not begun to the replacement."""

    def __init__(self, worker: "Worker", path: str, kind: str) -> None:
        self._worker, self.path, self.kind = worker, path, kind
        self._lock = threading.RLock()
        self._conn: Optional[Conn] = None
        self._words: Optional[memoryview] = None
        self._begun = 0  # for a peer without a page
        self._position = 0
        self._capacity = _CAPACITY
        self._out: Deque[_Sent] = collections.deque()
        self._last = 0
        self._incarnation = ""

    def send(self, ref: Ref, method: str, args: Any, timeout: Optional[float], call: bool) -> Any:
        ctx = current.get()
        ends = [t for t in (ctx.deadline if ctx else None, time.monotonic() + timeout if timeout is not None else None) if t is not None]
        end = min(ends) if ends else None
        chain: List[int] = []
        if call and ctx is not None and ctx._message is not None:
            if not ctx._id:
                ctx._id = int.from_bytes(os.urandom(8), "big") >> 1 or 1
            chain = [*ctx._message.chain, ctx._id]
        trace = ctx.trace if ctx is not None else None
        with self._lock:
            self._last = self._last % (CONTROL_BIT - 1) + 1
            message = [REQUEST, self._last, method, list(args)] if call else [NOTIFY, method, list(args)]
            self._put(message, meta(int(end * 1e9) if end is not None and call else 0, chain, None, trace), end, ref)
            if call:
                return self._await(message[1], method, end)
            return None

    def _connect(self, end: Optional[float], ref: Optional[Ref] = None) -> Conn:
        """Return a connection to the actor, and send by it what the one before did not begin."""
        if self._conn is not None and not self._conn.closed:
            return self._conn
        while True:
            left = None if end is None else end - time.monotonic()
            try:
                answer = self._worker.request("$/introduce", {"path": self.path, "kind": self.kind, "from": self._worker.path}, timeout=left)
            except TimeoutError:
                raise DeadlineExceeded(f"{self.path}: context deadline exceeded") from None
            fd = self._worker.parent.take_file(answer["token"])
            if fd is None:
                raise RemoteError("an introduction was lost: no descriptors are left", self.path)
            conn = Conn(socket.socket(fileno=fd))
            try:
                self._hello(conn)
            except Closed:
                conn.close()
                continue  # it ended meanwhile
            self._conn, self._incarnation, self._position = conn, answer.get("incarnation", ""), 0
            try:
                for s in self._out:
                    self._transmit(s)
            except Closed:
                continue
            return conn

    def _hello(self, conn: Conn) -> None:
        conn.write(conn.encoder().pack([REQUEST, CONTROL_BIT | 1, "$/hello", [{
            "min": 1, "max": 1, "build": "", "pid": os.getpid(), "clock": time.monotonic_ns(), "caps": ["files", "streams"]}]]))
        while True:
            for m in conn.receive():
                if m[0] == RESPONSE and m[1] == CONTROL_BIT | 1:
                    if m[2] is not None:
                        raise from_wire(m[2], self.path, "$/hello")
                    h = m[3]
                    self._words, self._begun = None, 0
                    if h.get("progress"):
                        fd = conn.take_file(h["progress"])
                        if fd is not None:
                            self._words = _memory.open_page(fd)
                    self._capacity = min(h.get("capacity") or _CAPACITY, _CAPACITY)
                    return

    def _mark(self) -> int:
        return self._words[0] if self._words is not None else self._begun

    def _transmit(self, s: _Sent) -> None:
        self._position += 1
        s.position = self._position
        self._conn.send(s.message, s.meta or None)  # type: ignore[union-attr]

    def _put(self, message: list, meta: list, end: Optional[float], ref: Ref) -> None:
        while True:
            conn = self._connect(end)
            if ref.incarnation and ref.incarnation != self._incarnation:
                raise RemoteError(f"incarnation {ref.incarnation}: actor not running", self.path, causes=["actor.ErrNotRunning"])
            try:
                self._prune()
                while len(self._out) >= self._capacity:
                    conn.notify("$/want", self._out[len(self._out) // 2].position)
                    self._receive(end)
                    self._prune()
            except Closed:
                self._down()
                continue
            break
        s = _Sent(0, message, meta)
        try:
            self._transmit(s)
        except Closed:
            self._out.append(s)
            self._down()
            self._connect(end)
            return
        self._out.append(s)

    def _prune(self) -> None:
        mark = self._mark()
        while self._out and 0 < self._out[0].position <= mark:
            self._out.popleft()

    def _down(self) -> None:
        """Note the end of the connection: what was begun is over, the rest is for the replacement."""
        self._prune()
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def _receive(self, end: Optional[float]) -> List[list]:
        conn = self._conn
        assert conn is not None
        if end is not None:
            p = select.poll()
            p.register(conn.fd, select.POLLIN)
            if not p.poll(max(0, (end - time.monotonic()) * 1000)):
                raise DeadlineExceeded(f"{self.path}: context deadline exceeded")
        answers = []
        for m in conn.receive():
            if m[0] == RESPONSE:
                answers.append(m)
            elif m[0] == NOTIFY and m[1] == "$/begin":
                self._begun = max(self._begun, m[2][0])
            elif m[0] == REQUEST:
                conn.respond(m[1], {"text": "unknown method", "is": ["actor.ErrUnknown"]})
        return answers

    def _await(self, id: int, method: str, end: Optional[float]) -> Any:
        while True:
            try:
                self._connect(end)
                for m in self._receive(end):
                    if m[1] != id:
                        continue  # an answer that came too late
                    self._out = collections.deque(s for s in self._out if not (s.message[0] == REQUEST and s.message[1] == id))
                    if m[2] is not None:
                        e = self._worker.declared.exception(from_wire(m[2], self.path, method))
                        raise e
                    if len(m) > 4 and len(m[4]) > 2 and m[4][2]:
                        if isinstance(m[4][2], LookupError):
                            raise RemoteError(str(m[4][2]), self.path, method, ["actor.ErrLost"])
                        m[3] = _memory.resolve(m[3], m[4][2])
                    return m[3]
            except DeadlineExceeded:
                if self._conn is not None and not self._conn.closed:
                    try:
                        self._conn.notify("$/cancel", id)
                    except Closed:
                        pass
                raise
            except ProtocolError as e:
                self._down()
                raise RemoteError(f"protocol violation: {e}", self.path, method, ["mailbox.ErrProtocol"]) from e
            except Closed:
                self._down()
                if not any(s.message[0] == REQUEST and s.message[1] == id for s in self._out):
                    raise ActorDied("the actor ended while it handled the call", self.path, method) from None
