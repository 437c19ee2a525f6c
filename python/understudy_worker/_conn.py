"""One connection to another process: messages, descriptors, segments.

What is here is the wire and nothing else: who reads when, and what a message
means, is the worker's affair.
"""

from __future__ import annotations

import array
import collections
import os
import socket
import threading
from typing import Any, Deque, Dict, List, Optional

from . import _codec, _memory
from ._codec import Encoder
from ._errors import ProtocolError
from ._memory import Segment

REQUEST, RESPONSE, NOTIFY = 0, 1, 2
CONTROL_BIT = 1 << 31
_MAX_FILES = 64
_CMSG = socket.CMSG_SPACE(_MAX_FILES * 4)


class Closed(Exception):
    """The connection has ended."""


class Message:
    """A user's request or notification that waits for its turn."""

    __slots__ = ("conn", "position", "id", "method", "params", "deadline", "chain", "trace", "stream", "window", "skip", "error")

    def __init__(self, conn: "Conn", position: int, id: Optional[int], method: str, params: list) -> None:
        self.conn, self.position, self.id, self.method, self.params = conn, position, id, method, params
        self.deadline, self.chain, self.trace = 0, (), None
        self.stream, self.window, self.skip = False, 0, False
        self.error: Optional[str] = None


class Conn:
    """A connection. Any thread may send; one at a time may read."""

    inline = 4 << 20
    max_message = 256 << 20

    def __init__(self, sock: socket.socket, quiet: bool = False) -> None:
        """quiet drops what is sent when the peer is gone: its end is learned where it is read."""
        sock.setblocking(True)
        self.quiet = quiet
        self.sock = sock
        self.fd = sock.fileno()
        self.closed = False
        self.position = 0  # of the last user message that came
        self.begun = 0
        self.wants: List[int] = []  # positions whose begin the peer wants to hear of
        self.page: Optional[_memory.Page] = None
        self.words: Optional[memoryview] = None  # of our page
        self._buffer = bytearray(256 << 10)
        self._window = memoryview(self._buffer)
        self._unpacker = _codec.unpacker()
        self._send = threading.RLock()
        self._local = threading.local()
        self._tokens = 0
        self._arrived: Deque[Optional[int]] = collections.deque()  # descriptors that no "$/file" has named yet
        self._files: Dict[int, Optional[int]] = {}  # by token; None: lost
        self._in: Dict[int, Optional[tuple]] = {}  # segments of the peer: (segment, its memory once used)
        self._out: Dict[int, bool] = {}  # ids of our segments that the peer knows
        self._gone: Deque[int] = collections.deque()  # ids to be forgotten
        self._mine = os.getpid()

    # Sending.

    def encoder(self) -> Encoder:
        have = getattr(self._local, "encoder", None)
        if have is None:
            have = self._local.encoder = Encoder()
        return have

    def write(self, body: bytes) -> None:
        """Send bytes of whole messages."""
        with self._send:
            try:
                self.sock.sendall(body)
            except OSError as e:
                self._broken(e)

    def _broken(self, e: OSError) -> None:
        if not self.quiet:
            self.closed = True
            raise Closed(str(e)) from None

    def notify(self, method: str, *params: Any) -> None:
        self.write(self.encoder().pack([NOTIFY, method, list(params)]))

    def send_file(self, fd: int) -> int:
        """Send a descriptor ahead of the message that names its token."""
        with self._send:
            self._tokens += 1
            body = self.encoder().pack([NOTIFY, "$/file", [self._tokens]])
            try:
                n = self.sock.sendmsg([body], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [fd]))])
                if n < len(body):
                    self.sock.sendall(body[n:])
            except OSError as e:
                self._broken(e)
            return self._tokens

    def send(self, message: list, meta: Optional[list] = None) -> None:
        """Send a message of a user's value, with the segments that its arrays lie in.

        A value that cannot travel is a TravelError, and nothing was sent then.
        """
        encoder = self.encoder()
        body = encoder.pack(message, self.max_message)
        segments = encoder.segments
        if not segments and meta is None and len(body) <= self.inline:
            self.write(body)
            return
        with self._send:
            for s in segments:
                self.announce(s)
            if segments or meta:
                meta = list(meta or [])
                if segments:
                    meta += [None] * (3 - len(meta))
                    meta[2] = [s.id for s in segments]
                body = bytes([body[0] + 1]) + body[1:] + encoder.pack(meta)
            if len(body) <= self.inline:
                self.write(body)
            else:
                self._send_blob(body)

    def _send_blob(self, body: bytes) -> None:
        segment = _memory.create(len(body))
        memory = segment.bytes()
        memory[:] = body
        del memory
        segment.freeze()
        self.announce(segment)
        self.write(self.encoder().pack([NOTIFY, "$/blob", [len(body)], [None, None, [segment.id]]]))
        self._out.pop(segment.id, None)
        self.notify("$/forget", segment.id)

    def announce(self, segment: Segment) -> None:
        """Make a segment known to the peer, once."""
        self.flush_forgotten()
        if segment.id in self._out:
            return
        token = self.send_file(segment.fd)
        self.notify("$/segment", segment.id, segment.size, segment.mode, token)
        self._out[segment.id] = True
        segment.ends.append(self._gone.append)  # it may be any thread's garbage collection that calls it

    def flush_forgotten(self) -> None:
        """Tell the peer which of our segments are gone."""
        while self._gone and os.getpid() == self._mine:
            id = self._gone.popleft()
            if self._out.pop(id, None):
                self.notify("$/forget", id)

    def respond(self, id: int, error: Any, result: Any = None) -> None:
        self.send([RESPONSE, id, error, result])

    # Reading.

    def receive(self) -> List[list]:
        """Wait for bytes, and return the messages that are complete, but for those of the connection itself.

        The messages of descriptors and segments are taken here, and metadata then has
        segments, or a LookupError, instead of their ids. Closed says that there is no more.
        """
        try:
            n, ancillary, flags, _ = self.sock.recvmsg_into([self._buffer], _CMSG, socket.MSG_CMSG_CLOEXEC)
        except OSError as e:
            self.closed = True
            raise Closed(str(e)) from None
        if n == 0:
            self.closed = True
            raise Closed("the peer closed it")
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                fds = array.array("i")
                fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
                self._arrived.extend(fds)
        if flags & socket.MSG_CTRUNC and not self._arrived:
            self._arrived.append(None)
        unpacker = self._unpacker
        messages: List[list] = []
        try:
            unpacker.feed(self._window[:n])
            for m in unpacker:
                if m[0] == NOTIFY and type(m[1]) is str and m[1] in _OWN:
                    m = _OWN[m[1]](self, m)
                    if m is None:
                        continue
                at = 3 if m[0] == NOTIFY else 4
                if len(m) > at and len(m[at]) > 2 and m[at][2]:
                    m[at][2] = self._named(m[at][2])  # now: what comes next may forget them
                messages.append(m)
        except (Closed, ProtocolError):
            raise
        except Exception as e:  # whatever it is, the rest of the stream cannot be trusted
            raise ProtocolError(f"what came is no message: {type(e).__name__}: {e}") from e
        return messages

    def _file(self, m: list) -> None:
        self._files[m[2][0]] = self._arrived.popleft() if self._arrived else None

    def take_file(self, token: int) -> Optional[int]:
        """Return the descriptor that came under token; None: it was lost."""
        if token not in self._files:
            raise ProtocolError(f"descriptor {token} was never sent")
        return self._files.pop(token)

    def _segment(self, m: list) -> None:
        id, size, mode, token = m[2]
        fd = self.take_file(token)
        if fd is None:
            self._in[id] = None
            self.notify("$/lost", id)
            return
        self._in[id] = (_memory.from_peer(fd, size, mode), None)

    def _forget(self, m: list) -> None:
        self._in.pop(m[2][0], None)

    def _lost(self, m: list) -> None:
        self._out.pop(m[2][0], None)

    def _blob(self, m: list) -> list:
        segments = self.segments(m[3][2])
        size = m[2][0]
        return _codec.unpack(segments[0].bytes()[:size])

    def segments(self, ids: List[int]) -> List[Segment]:
        """Return the segments that a message names. Their memory stays mapped until the peer forgets them."""
        found = []
        for id in ids:
            if id not in self._in:
                raise ProtocolError(f"segment {id} was never announced")
            entry = self._in[id]
            if entry is None:
                raise LookupError("an array was lost on the way: no descriptors are left")
            segment, memory = entry
            if memory is None:
                self._in[id] = (segment, segment.buffer())
            found.append(segment)
        return found

    def _named(self, ids: List[int]) -> "List[Segment] | LookupError":
        try:
            return self.segments(ids)
        except LookupError as e:
            return e

    def close(self) -> None:
        self.closed = True
        self.sock.close()
        for fd in [*self._arrived, *self._files.values()]:
            if fd is not None:
                os.close(fd)
        self._arrived.clear()
        self._files.clear()
        self._in.clear()
        self._out.clear()


_OWN = {"$/file": Conn._file, "$/segment": Conn._segment, "$/forget": Conn._forget, "$/lost": Conn._lost, "$/blob": Conn._blob}
