"""Actors in Python, for Understudy.

    import understudy_worker as us

    @us.actor
    class Filter:
        def __init__(self, radius):
            self.radius = radius

        def blur(self, image):          # image is a numpy array in shared memory
            out = us.empty(image.shape, image.dtype)
            ...
            return out                  # goes back without a copy

    if __name__ == "__main__":
        us.run(Filter)

The README says how a program in Go starts it and calls it.
"""

from ._actor import actor, function, method
from ._codec import TravelError
from ._context import Context, context
from ._errors import ActorDied, Cancelled, DeadlineExceeded, ProtocolError, RemoteError
from ._log import Log
from ._memory import View, empty
from ._refs import Ref
from ._worker import run

__all__ = [
    "ActorDied",
    "Cancelled",
    "Context",
    "DeadlineExceeded",
    "Log",
    "ProtocolError",
    "Ref",
    "RemoteError",
    "TravelError",
    "View",
    "actor",
    "context",
    "empty",
    "function",
    "method",
    "run",
]
