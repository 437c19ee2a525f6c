"""An actor several of whose methods run at once, with a loop of its own."""

import asyncio
import os
import sys
import threading
import time

import understudy_worker as us


@us.actor(concurrent=4)
class Many:
    def __init__(self):
        self.gate = threading.Barrier(2)
        self.agate = 0
        self.ended = threading.Event()
        self.code = None

    def meet(self):
        """Return when two are in here."""
        self.gate.wait(30)
        return threading.current_thread() is threading.main_thread()

    async def ameet(self):
        self.agate += 1
        while self.agate < 2:
            await asyncio.sleep(0.001)
        return self.agate

    def items(self, n):
        yield from range(n)

    async def aitems(self, n):
        for i in range(n):
            yield i

    def end(self, code):
        self.code = code
        self.ended.set()

    def leave(self, code):
        sys.exit(code)

    def run(self):
        self.ended.wait()
        if self.code == "raise":
            raise ValueError("the loop breaks")


if __name__ == "__main__":
    us.run(Many)
