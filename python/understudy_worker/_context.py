"""What a method may know of the message that it handles."""

from __future__ import annotations

import contextvars
import threading
import time
from typing import TYPE_CHECKING, Any, Dict, Optional

from ._errors import Cancelled, DeadlineExceeded
from ._log import Log

if TYPE_CHECKING:
    from ._conn import Message
    from ._refs import Ref
    from ._worker import Worker


class Context:
    """The message in hand: its deadline, whether its caller still waits, the logger.

    A method gets it if it has a parameter named ``ctx``; elsewhere it is ``understudy_worker.context()``.
    """

    def __init__(self, worker: "Worker", message: "Optional[Message]" = None) -> None:
        self._worker = worker
        self._message = message
        self._ended: Optional[threading.Event] = None
        self._cancelled = False
        self._task: Any = None  # the asyncio task, of an async method
        self._loop: Any = None
        self._id = 0
        self.credit = 0  # items of a stream that may be sent

    @property
    def path(self) -> str:
        """The actor's path."""
        return self._worker.path

    @property
    def method(self) -> str:
        """The method's name on the wire; empty in the constructor and in run."""
        return self._message.method if self._message else ""

    @property
    def trace(self) -> Dict[str, str]:
        """The trace context that came with the message, such as traceparent."""
        return dict(self._message.trace or {}) if self._message else {}

    @property
    def deadline(self) -> Optional[float]:
        """When the caller will have given up, on the clock of time.monotonic(); None: never."""
        return self._message.deadline / 1e9 if self._message and self._message.deadline else None

    @property
    def remaining(self) -> Optional[float]:
        """The seconds to the deadline, perhaps negative; None: there is none."""
        return None if self.deadline is None else self.deadline - time.monotonic()

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the result any more: the caller has given up, its deadline has passed, or the actor is asked to stop."""
        if self._cancelled or self._worker.stopping:
            return True
        left = self.remaining
        return left is not None and left <= 0

    def check(self) -> None:
        """Raise Cancelled, or DeadlineExceeded, if the work is in vain."""
        left = self.remaining
        if left is not None and left <= 0:
            raise DeadlineExceeded("context deadline exceeded")
        if self._cancelled or self._worker.stopping:
            raise Cancelled("context canceled")

    def wait(self, seconds: float) -> bool:
        """Sleep, but no longer than the work is wanted. Return whether it still is."""
        left = self.remaining
        if left is not None:
            seconds = min(seconds, max(left, 0))
        self._worker.wait(lambda: self.cancelled, seconds)
        return not self.cancelled

    @property
    def log(self) -> Log:
        """The actor's logger: its records come out of the root's."""
        return self._worker.log

    def ref(self, value: Any) -> "Ref":
        """Make a reference of what a message had in its place: [path, kind, incarnation]."""
        return self._worker.ref(value)

    def _cancel(self) -> None:
        """Note that the caller has given up."""
        self._cancelled = True
        task, loop = self._task, self._loop
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)
        self._worker.changed()


current: "contextvars.ContextVar[Optional[Context]]" = contextvars.ContextVar("understudy_worker.context", default=None)


def context() -> Context:
    """Return the context of the message that this code handles."""
    c = current.get()
    if c is None:
        raise RuntimeError("there is no message in hand: context() is for methods of an actor")
    return c
