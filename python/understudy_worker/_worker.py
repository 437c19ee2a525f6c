"""The actor's process: who reads the wire, who runs methods, and when.

The main thread reads the wire and runs the method that came, so that a call costs
no switch of threads. While a method runs for longer than a millisecond a helper
thread reads in its place: it answers pings, notes cancellation and stop, and puts
further messages in the queue. With concurrent > 1 the main thread reads all the
time, and methods run elsewhere.
"""

from __future__ import annotations

import asyncio
import collections
import faulthandler
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Deque, Dict, List, Optional

from . import _actor, _codec, _memory
from ._codec import TravelError
from ._conn import CONTROL_BIT, NOTIFY, REQUEST, RESPONSE, Closed, Conn, Message
from ._context import Context, current
from ._errors import Declared, ProtocolError, RemoteError, from_wire, refusal, to_wire
from ._log import Handler as LogHandler
from ._log import Log
from ._refs import Ref, Target

_TICK = 0.001  # how long a method runs before the helper reads in the main thread's place
_IDLE_TICKS = 100  # ticks without a message until the helper sleeps


class Worker:
    """One actor, in the process that was started for it."""

    def __init__(self, target: Optional[type], sock: socket.socket) -> None:
        self.target = target
        self.concurrent, errors = getattr(target, "_understudy_options", (1, {}))
        self._errors = errors
        self.declared = Declared("", errors)
        self.parent = Conn(sock, quiet=True)
        self.path, self.kind, self.incarnation = "", "", ""
        self.conns: List[Conn] = [self.parent]  # that messages come by
        self.log = Log(self._send_log, "", 0, {})
        self.stopping = False
        self.drain = False
        self.state: Any = None
        self.handlers: Dict[str, _actor.Handler] = {}

        self._queue: Deque[Message] = collections.deque()
        self._running: Dict[Any, Context] = {}  # (conn, id) -> the call in hand
        self._active = 0
        self._start: Optional[dict] = None
        self._start_id = 0
        self._hello = False
        self._pending: Dict[int, list] = {}  # control requests of ours -> [response]
        self._last_request = 0
        self._targets: Dict[Any, Target] = {}
        self._exit: Optional[BaseException] = None  # SystemExit of a thread

        self._wire = threading.Lock()  # who has it reads
        self._change = threading.Condition(threading.Lock())
        self._waiting = 0
        self._lock = threading.RLock()  # the queue and what is active
        self._wake_r, self._wake_w = os.pipe()
        os.set_blocking(self._wake_r, False)
        os.set_blocking(self._wake_w, False)
        self._busy = 0  # number of the method that the main thread runs; 0: none
        self._count = 0
        self._parked = threading.Event()  # the helper is to look again
        self._asleep = False
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._pool: Optional[ThreadPoolExecutor] = None
        self._run_done = False

    # Reading.

    def _read(self, wait: Optional[float] = None, direct: bool = True) -> None:
        """Wait for messages and take them; the caller has the wire. It returns after a wake-up, too."""
        conns = self.conns
        if direct and wait is None and len(conns) == 1:
            self._take(conns[0])
            return
        poll = select.poll()
        by_fd = {c.fd: c for c in conns if not c.closed}
        for fd in by_fd:
            poll.register(fd, select.POLLIN)
        poll.register(self._wake_r, select.POLLIN)
        for fd, _ in poll.poll(None if wait is None else max(wait, 0) * 1000):
            if fd == self._wake_r:
                try:
                    os.read(self._wake_r, 4096)
                except BlockingIOError:
                    pass
            elif fd in by_fd and not by_fd[fd].closed:
                self._take(by_fd[fd])

    def _take(self, conn: Conn) -> None:
        try:
            messages = conn.receive()
        except Closed:
            self._closed(conn)
            return
        except ProtocolError as e:
            if conn is self.parent:
                raise
            self.log.warning("a link is ended for what came by it", error=str(e))
            self._closed(conn)
            return
        for m in messages:
            self._message(conn, m)
        if self._waiting:
            self.changed()

    def _closed(self, conn: Conn) -> None:
        if conn is self.parent:
            conn.closed = True
            self.stopping = True
        else:
            self.conns = [c for c in self.conns if c is not conn]
            conn.close()
        with self._lock:
            for m in self._queue:
                if m.conn is conn:
                    m.skip = True
            gone = [c for (at, _), c in self._running.items() if at is conn]
        for c in gone:
            c._cancel()
        self.changed()

    def changed(self) -> None:
        """Wake those who wait for what may have happened now."""
        with self._change:
            self._change.notify_all()
        if self._waiting:
            self.wake()

    def wake(self) -> None:
        """Interrupt who reads."""
        try:
            os.write(self._wake_w, b"\0")
        except (BlockingIOError, OSError):
            pass

    def wait(self, done: Callable[[], bool], timeout: Optional[float] = None) -> bool:
        """Wait until done, on any thread: who can have the wire reads it meanwhile."""
        end = None if timeout is None else time.monotonic() + timeout
        self._waiting += 1
        try:
            while not done():
                left = None if end is None else end - time.monotonic()
                if left is not None and left <= 0:
                    return False
                if not self.parent.closed and self._wire.acquire(blocking=False):
                    try:
                        if not done():
                            self._read(left, direct=False)
                    finally:
                        self._wire.release()
                    continue
                with self._change:
                    if not done():
                        self._change.wait(min(left, 0.05) if left is not None else 0.05)
            return True
        finally:
            self._waiting -= 1

    # Messages.

    def _message(self, conn: Conn, m: list) -> None:
        kind = m[0]
        if kind == REQUEST:
            id, method, params = m[1], m[2], m[3]
        elif kind == NOTIFY:
            id, method, params = None, m[1], m[2]
        else:
            answer = self._pending.get(m[1])
            if answer is not None:
                answer.append(m)
            return
        if method.startswith("$/"):
            self._control(conn, id, method, params)
            return
        conn.position += 1
        msg = Message(conn, conn.position, id, method, params)
        at = 4 if kind == REQUEST else 3
        if len(m) > at:
            self._metadata(msg, m[at])
        if params and not (len(m) > at and len(m[at]) > 2 and m[at][2]) and (type(params[0]) in (list, dict) or len(params) > 1):
            _memory.resolve_empty(params)
        if id is not None and self.concurrent == 1 and msg.chain and any(c._id in msg.chain for c in self._running.values() if c._id):
            conn.respond(id, refusal(f"{method} of {self.path}: call would wait for itself", "actor.ErrCallCycle"))
            msg.skip = True
        with self._lock:
            self._queue.append(msg)
        if self._pool is not None:
            self._fill()

    def _metadata(self, msg: Message, meta: list) -> None:
        meta = meta + [None] * (6 - len(meta))
        msg.deadline, msg.chain, msg.trace = meta[0] or 0, meta[1] or (), meta[3]
        msg.stream, msg.window = bool(meta[4]), meta[5] or 0
        if isinstance(meta[2], LookupError):
            msg.error = str(meta[2])
        elif meta[2]:
            _memory.resolve(msg.params, meta[2])

    def _control(self, conn: Conn, id: Optional[int], method: str, params: list) -> None:
        handler = _CONTROLS.get(method)
        if handler is not None:
            handler(self, conn, id, params)
        elif id is not None:
            conn.respond(id, refusal(f'control request "{method}": unknown method', "actor.ErrUnknown"))

    def _on_hello(self, conn: Conn, id: Optional[int], params: list) -> None:
        h = params[0]
        if h.get("min", 0) > 1 or h.get("max", 0) < 1:
            conn.respond(id or 0, refusal(f"peer speaks protocol {h.get('min')} to {h.get('max')}, we speak 1", "mailbox.ErrProtocol"))
            return
        page = conn.page = _memory.Page()
        conn.words = page.words
        page.words[1] = self.concurrent
        token = conn.send_file(page.fd)
        page.sent()
        conn.respond(id or 0, None, {"min": 1, "max": 1, "build": "", "system": h.get("system", ""), "pid": os.getpid(),
                                     "clock": time.monotonic_ns(), "caps": ["progress", "files", "streams", "pings", "connect"], "progress": token})

    def _on_start(self, conn: Conn, id: Optional[int], params: list) -> None:
        o = self._start = params[0]
        self._start_id = id or 0
        self.path, self.kind, self.incarnation = o.get("path", ""), o.get("kind", ""), o.get("incarnation", "")
        self.declared = Declared(self.kind, self._errors)
        self.log = Log(self._send_log, self.path, o.get("log_level", 0), {})
        Conn.inline, Conn.max_message = o.get("inline") or Conn.inline, o.get("max_message") or Conn.max_message
        args = o.setdefault("args", [])
        if o.get("segments"):
            _memory.resolve(args, conn.segments(o["segments"]))
        else:
            _memory.resolve_empty(args)

    def _on_ping(self, conn: Conn, id: Optional[int], params: list) -> None:
        if id is not None:
            conn.respond(id, None)

    def _on_stop(self, conn: Conn, id: Optional[int], params: list) -> None:
        o = params[0] if params else {}
        self.drain = bool(o.get("drain")) and o.get("timeout", 0) != 0
        if not self.drain:
            self.stopping = True
            for c in list(self._running.values()):
                if c._task is not None:
                    c._cancel()
        self._stop_asked = True
        if self._pool is not None:
            self.wake()
        self.changed()

    _stop_asked = False

    def _on_want(self, conn: Conn, id: Optional[int], params: list) -> None:
        with self._lock:
            if conn.begun < params[0]:
                conn.wants.append(params[0])
                return
        conn.notify("$/credit", conn.begun)

    def _on_cancel(self, conn: Conn, id: Optional[int], params: list) -> None:
        with self._lock:
            for m in self._queue:
                if m.conn is conn and m.id == params[0]:
                    m.skip = True
                    return
            ctx = self._running.get((conn, params[0]))
        if ctx is not None:
            ctx._cancel()

    def _on_more(self, conn: Conn, id: Optional[int], params: list) -> None:
        ctx = self._running.get((conn, params[0]))
        if ctx is not None:
            ctx.credit += params[1]
            self.changed()

    def _on_connect(self, conn: Conn, id: Optional[int], params: list) -> None:
        fd = conn.take_file(params[0]["token"])
        if fd is not None:
            self.conns = [*self.conns, Conn(socket.socket(fileno=fd), quiet=True)]

    # What is asked of others.

    def request(self, method: str, *params: Any, timeout: Optional[float] = None) -> Any:
        """Ask the parent, and wait for its answer."""
        with self._lock:
            self._last_request += 1
            id = self._last_request | CONTROL_BIT
            answer: list = []
            self._pending[id] = answer
        try:
            self.parent.write(self.parent.encoder().pack([REQUEST, id, method, list(params)]))
            if not self.wait(lambda: bool(answer) or self.parent.closed, timeout):
                self.parent.notify("$/abandon", id)
                raise TimeoutError(method)
            if not answer:
                raise Closed("the parent is gone")
        finally:
            del self._pending[id]
        if answer[0][2] is not None:
            raise from_wire(answer[0][2], "", method)
        return answer[0][3]

    def ref(self, v: Any) -> Ref:
        if isinstance(v, Ref):
            return v
        if not isinstance(v, (list, tuple)) or len(v) != 3 or not all(isinstance(x, str) for x in v):
            raise TypeError(f"{v!r} is no reference: that is [path, kind, incarnation]")
        return Ref(v[0], v[1], v[2])

    def to(self, ref: Ref) -> Target:
        with self._lock:
            key = (ref.path, ref.kind)
            if key not in self._targets:
                self._targets[key] = Target(self, ref.path, ref.kind)
            return self._targets[key]

    def _send_log(self, record: Dict[str, Any]) -> None:
        try:
            self.parent.notify("$/log", record)
        except (Closed, TravelError):
            print(record["text"], file=sys.stderr)

    # Running methods.

    def _begin(self, m: Message, slot: int = 0) -> None:
        """Publish that a message is begun: from here on it is not delivered again."""
        conn = m.conn
        words = conn.words
        if words is not None:
            if not m.skip:
                words[8 + slot] = m.position
            words[0] = m.position
        conn.begun = m.position
        if conn.wants:
            with self._lock:
                due = [p for p in conn.wants if p <= conn.begun]
                conn.wants = [p for p in conn.wants if p > conn.begun]
            if due:
                conn.notify("$/credit", conn.begun)

    def _end(self, m: Message, slot: int = 0) -> None:
        if m.conn.words is not None:
            m.conn.words[8 + slot] = 0

    def _prepare(self, m: Message) -> Optional[_actor.Handler]:
        """Return what handles a message, or answer that nothing does."""
        h = self.handlers.get(m.method)
        if h is None:
            self._refuse(m, refusal(f'method "{m.method}": unknown method', "actor.ErrUnknown"))
        elif m.error:
            self._refuse(m, refusal(m.error, "actor.ErrLost"))
        elif h.wrong(len(m.params)):
            self._refuse(m, refusal(h.wrong(len(m.params))))
        elif m.deadline and m.deadline <= time.monotonic_ns():
            self._refuse(m, refusal("context deadline exceeded", "context.DeadlineExceeded"))
        elif m.stream and not h.stream:
            self._refuse(m, refusal(f'method "{m.method}" is no stream: in Python that is a generator'))
        elif h.stream and not m.stream:
            self._refuse(m, refusal(f'method "{m.method}" is a stream: it has to be opened as one'))
        else:
            return h
        return None

    def _refuse(self, m: Message, error: dict) -> None:
        if m.id is not None:
            self._answer(m, error, None)
        else:
            self.log.error(f"cast {m.method}: {error['text']}")

    def _answer(self, m: Message, error: Optional[dict], result: Any) -> None:
        if m.id is None:
            if error is not None:
                self.log.error(f"cast {m.method}: {error['text']}", traceback=error.get("traceback", ""))
            return
        try:
            m.conn.respond(m.id, error, result)
        except TravelError as e:
            m.conn.respond(m.id, to_wire(e, self.declared, [e.name] if e.name else None))
        except Closed:
            pass  # there is no caller any more
        except OSError as e:  # no memory, no descriptors
            try:
                m.conn.respond(m.id, to_wire(e, self.declared))
            except Closed:
                pass

    def _fail(self, m: Message, e: BaseException) -> None:
        self._answer(m, to_wire(e, self.declared), None)

    def _args(self, h: _actor.Handler, m: Message, ctx: Context) -> "tuple[list, dict]":
        for i in h.refs:
            if i < len(m.params) and m.params[i] is not None:
                m.params[i] = self.ref(m.params[i])
        return m.params, {"ctx": ctx} if h.wants_ctx else {}

    def _run_here(self, m: Message) -> None:
        """Run a method on the main thread."""
        self._begin(m)
        if m.skip:
            return
        h = self._prepare(m)
        if h is None:
            self._end(m)
            return
        ctx = Context(self, m)
        key = (m.conn, m.id if m.id is not None else -m.position)
        self._running[key] = ctx
        token = current.set(ctx)
        self._count += 1
        self._busy = self._count
        if self._asleep:
            self._parked.set()
        try:
            if h.plain:
                result = h.call(*m.params)
            else:
                args, kw = self._args(h, m, ctx)
                if h.generator:
                    result = self._stream(m, ctx, h.call(*args, **kw))
                elif h.coroutine or h.async_generator:
                    work = h.call(*args, **kw)
                    if h.async_generator:
                        work = self._astream(m, ctx, work)
                    result = self._event_loop().run_until_complete(self._task(ctx, work))
                else:
                    result = h.call(*args, **kw)
            error = None
        except Exception as e:
            result, error = None, to_wire(e, self.declared)
            e.__traceback__ = None  # its frames would keep arrays
        except asyncio.CancelledError as e:
            result, error = None, to_wire(e, self.declared)
        finally:
            self._busy = 0
            del self._running[key]
            current.reset(token)
        m.params = []  # arrays among them end with the last view
        self._answer(m, error, result)
        del result, ctx
        self._end(m)
        if m.conn._gone:
            m.conn.flush_forgotten()

    async def _task(self, ctx: Context, work: Any) -> Any:
        """Await a coroutine so that the caller's cancellation and deadline reach it."""
        ctx._loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        ctx._task = task
        if ctx._cancelled:
            task.cancel()
        left = ctx.remaining
        try:
            return await (task if left is None else asyncio.wait_for(task, left))
        except asyncio.TimeoutError:
            ctx.check()
            raise

    def _event_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            asyncio.set_event_loop(self._loop)
        return self._loop

    # Streams.

    def _item(self, m: Message, ctx: Context, v: Any) -> None:
        ctx.credit -= 1
        m.conn.send([NOTIFY, "$/item", [{"id": m.id, "value": v}]])

    def _stream(self, m: Message, ctx: Context, items: Any) -> None:
        ctx.credit += m.window
        try:
            for v in items:
                if ctx.credit <= 0:
                    self.wait(lambda: ctx.credit > 0 or ctx.cancelled, ctx.remaining)
                ctx.check()
                self._item(m, ctx, v)
        finally:
            items.close()

    async def _astream(self, m: Message, ctx: Context, items: Any) -> None:
        ctx.credit += m.window
        try:
            async for v in items:
                while ctx.credit <= 0 and not ctx.cancelled:
                    if self._pool is None:
                        self.wait(lambda: ctx.credit > 0 or ctx.cancelled, 0.01)
                    await asyncio.sleep(0.001)
                ctx.check()
                self._item(m, ctx, v)
        finally:
            await items.aclose()

    # Several at once.

    def _fill(self) -> None:
        """Begin what may be begun, in order."""
        while True:
            with self._lock:
                if not self._queue or self._active >= self.concurrent or self._exit is not None:
                    return
                if self.stopping:
                    return
                m = self._queue.popleft()
                if m.skip:
                    self._begin(m)
                    continue
                slot = self._slots.pop()
                self._begin(m, slot)
                self._active += 1
                ctx = Context(self, m)
                key = (m.conn, m.id if m.id is not None else -m.position)
                self._running[key] = ctx
            h = self._prepare(m)
            if h is None:
                self._over(m, key, slot)
            elif h.coroutine or h.async_generator:
                asyncio.run_coroutine_threadsafe(self._run_async(h, m, ctx, key, slot), self._event_loop())
            else:
                self._pool.submit(self._run_pooled, h, m, ctx, key, slot)  # type: ignore[union-attr]

    def _over(self, m: Message, key: Any, slot: int) -> None:
        with self._lock:
            self._running.pop(key, None)
            self._end(m, slot)
            self._slots.append(slot)
            self._active -= 1
        if self._stop_asked or self.stopping:
            self.wake()
        self._fill()

    def _run_pooled(self, h: _actor.Handler, m: Message, ctx: Context, key: Any, slot: int) -> None:
        current.set(ctx)
        try:
            args, kw = self._args(h, m, ctx)
            result = h.call(*args, **kw)
            if h.generator:
                result = self._stream(m, ctx, result)
            m.params = args = []
            self._answer(m, None, result)
            del result
        except Exception as e:
            self._fail(m, e)
        except BaseException as e:  # SystemExit: the main thread ends the process
            self._exit = e
            self.wake()
            return
        finally:
            current.set(None)
        self._over(m, key, slot)

    async def _run_async(self, h: _actor.Handler, m: Message, ctx: Context, key: Any, slot: int) -> None:
        current.set(ctx)
        try:
            args, kw = self._args(h, m, ctx)
            work = h.call(*args, **kw)
            if h.async_generator:
                work = self._astream(m, ctx, work)
            self._answer(m, None, await self._task(ctx, work))
        except (Exception, asyncio.CancelledError) as e:
            self._fail(m, e)
        except BaseException as e:
            self._exit = e
            self.wake()
            return
        self._over(m, key, slot)

    # The helper.

    def _help(self) -> None:
        """Read in the place of a main thread that runs a method for long."""
        seen, quiet, count = 0, 0, 0
        while True:
            time.sleep(_TICK)
            busy = self._busy
            if busy and busy == seen:
                self._read_for(busy)
            if self._count == count:
                quiet += 1
                if quiet > _IDLE_TICKS and not self._busy:
                    self._parked.clear()
                    self._asleep = True
                    if not self._busy:
                        self._parked.wait()
                    self._asleep = False
                    quiet = 0
            else:
                count, quiet = self._count, 0
            seen = busy

    def _read_for(self, busy: int) -> None:
        if not self._wire.acquire(blocking=False):
            return
        try:
            while self._busy and not self.parent.closed:
                self._read(direct=False)
                if self._waiting:
                    self.changed()
                if not self._busy and not self._queue:
                    return
        except ProtocolError as e:
            print(f"understudy_worker: {e}", file=sys.stderr)
            sys.stderr.flush()
            os._exit(1)
        finally:
            self._wire.release()
            with self._change:
                self._change.notify_all()

    # The whole life.

    def run(self) -> int:
        """Serve until the end, and return the exit code."""
        while self._start is None and not self.parent.closed and not self._stop_asked:
            self._read()
        if self._start is None:
            return 0
        try:
            self._construct()
        except Exception as e:
            traceback.print_exc()
            try:
                self.parent.respond(self._start_id, to_wire(e, self.declared))
            except Closed:
                pass
            return 1
        self.parent.respond(self._start_id, None)
        if self.concurrent == 1:
            threading.Thread(target=self._help, name="understudy-wire", daemon=True).start()
            self._serve()
        else:
            self._serve_many()
        if self._exit is not None:
            raise self._exit
        return self._finish()

    def _construct(self) -> None:
        args = list((self._start or {}).get("args") or [])
        ctx = Context(self)
        token = current.set(ctx)
        try:
            if self.target is None:
                if args:
                    raise TypeError(f"functions take no constructor's arguments, {len(args)} were sent")
            else:
                h = _actor.Handler(self.target)
                for i in h.refs:
                    if i < len(args) and args[i] is not None:
                        args[i] = self.ref(args[i])
                self.state = self.target(*args, **({"ctx": ctx} if h.wants_ctx else {}))
        finally:
            current.reset(token)
        self.handlers = _actor.handlers(self.state)
        if self.concurrent > 1:
            self._slots = list(range(self.concurrent))
            self._pool = ThreadPoolExecutor(self.concurrent, thread_name_prefix="understudy")
        loop = getattr(self.state, "run", None)
        if callable(loop):
            threading.Thread(target=self._run_loop, args=(loop,), name="understudy-run", daemon=True).start()
        if not logging.getLogger().handlers:
            logging.getLogger().addHandler(LogHandler(self.log))
            logging.getLogger().setLevel(max(1, (self._start or {}).get("log_level", 0) * 10 // 4 + logging.INFO))

    def _run_loop(self, loop: Callable) -> None:
        """Run the actor's own loop, whose return ends the actor."""
        h = _actor.Handler(loop)
        ctx = Context(self)
        current.set(ctx)
        try:
            result = loop(**({"ctx": ctx} if h.wants_ctx else {}))
            if h.coroutine:
                asyncio.run(self._task(ctx, result))
        except Exception as e:
            if not self.stopping:
                traceback.print_exc()
                self._ended = {"reason": 2, "err": to_wire(e, self.declared)}
                self._code = 1
        except BaseException as e:
            self._exit = e
        self.stopping = True
        self._run_done = True
        self.changed()
        self.wake()

    _ended: Optional[dict] = None  # why run says that the actor ends
    _code = 0

    def _over_now(self) -> bool:
        return self.stopping or self._exit is not None or self._stop_asked and not self._queue

    def _serve(self) -> None:
        queue = self._queue
        direct = not callable(getattr(self.state, "run", None))
        while True:
            while queue and not self.stopping and self._exit is None:
                self._run_here(queue.popleft())
            if self._over_now():
                return
            if not self._wire.acquire(blocking=False):
                self.wake()  # the helper has it
                self._wire.acquire()
            try:
                if not queue and not self._over_now():
                    for c in self.conns:
                        if c._gone:
                            c.flush_forgotten()
                    self._read(direct=direct)
            finally:
                self._wire.release()

    def _serve_many(self) -> None:
        loop = self._event_loop()
        threading.Thread(target=loop.run_forever, name="understudy-loop", daemon=True).start()
        self._fill()
        while not (self.stopping or self._exit is not None or self._stop_asked and not self._queue and not self._active):
            if self._wire.acquire(timeout=0.05):
                try:
                    self._read(direct=False)
                finally:
                    self._wire.release()
        while self._active and self._exit is None:  # what is begun is brought to its end
            self.wait(lambda: not self._active or self._exit is not None, 0.05)

    def _finish(self) -> int:
        self.stopping = True
        stop = getattr(self.state, "stop", None)
        ended = self._ended
        if callable(stop):
            ctx = Context(self)
            try:
                h = _actor.Handler(stop)
                result = stop(**({"ctx": ctx} if h.wants_ctx else {}))
                if h.coroutine:
                    asyncio.new_event_loop().run_until_complete(result)
            except Exception as e:
                traceback.print_exc()
                ended = {"reason": 1, "err": to_wire(e, self.declared)}
        if ended is not None and not self.parent.closed:
            try:
                self.parent.notify("$/ended", ended)
            except Closed:
                pass
        return self._code


_CONTROLS = {
    "$/hello": Worker._on_hello,
    "$/start": Worker._on_start,
    "$/ping": Worker._on_ping,
    "$/stop": Worker._on_stop,
    "$/want": Worker._on_want,
    "$/cancel": Worker._on_cancel,
    "$/more": Worker._on_more,
    "$/connect": Worker._on_connect,
}

_worker: Optional[Worker] = None


def _forked() -> None:
    """Close the wire in a process that the actor forked: it is not the actor."""
    global _worker
    if _worker is not None:
        for c in _worker.conns:
            c.closed = True
            try:
                os.close(c.sock.detach())
            except OSError:
                pass
        _worker = None


def run(target: Optional[type] = None) -> None:
    """Run a class, or the functions decorated with function, as the actor that this process was started for.

    It returns never: the process ends with the actor.
    """
    global _worker
    fd = os.environ.pop("UNDERSTUDY_FD", "")
    try:
        sock = socket.socket(fileno=int(fd))
    except (ValueError, OSError):
        print("understudy_worker: this program is the worker of an Understudy actor, and nothing has started it as one: "
              "the descriptor in UNDERSTUDY_FD is missing", file=sys.stderr)
        sys.exit(2)
    os.set_inheritable(sock.fileno(), False)
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker = Worker(target, sock)
    os.register_at_fork(after_in_child=_forked)
    try:
        code = _worker.run()
    except SystemExit as e:
        if _worker is None or _worker._pool is None:
            raise
        if isinstance(e.code, str):
            print(e.code, file=sys.stderr)
        code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
    if _worker is None or _worker._pool is None:
        sys.exit(code)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # the interpreter would wait for methods that still run
