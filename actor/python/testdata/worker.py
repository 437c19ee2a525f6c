"""The actor of the tests: it does what it is told."""

import asyncio
import ctypes
import datetime
import logging
import os
import sys
import threading
import time

import numpy as np

import understudy_worker as us


class OutOfPaint(Exception):
    pass


@us.actor(errors={OutOfPaint: "out of paint"})
class Worker:
    def __init__(self, mode="", n=0):
        if mode == "raise":
            raise ValueError("bad mode")
        if mode == "exit":
            sys.exit(5)
        self.mode, self.n = mode, n
        self.kept = None

    # Calls.

    def echo(self, v):
        return v

    def add(self, a, b):
        self.n += a * b
        return self.n

    def nothing(self):
        return None

    def count(self):
        return self.n

    def main_thread(self):
        return threading.current_thread() is threading.main_thread()

    def pid(self):
        return os.getpid()

    def env(self, name):
        return os.environ.get(name, "")

    async def later(self, n):
        await asyncio.sleep(0.001)
        return n + 1

    # Errors.

    def fail(self, what):
        if what == "value":
            raise ValueError("no such paint")
        if what == "declared":
            raise OutOfPaint("the tin is empty")
        if what == "cause":
            try:
                raise OutOfPaint("first")
            except OutOfPaint as e:
                raise RuntimeError("second") from e
        if what == "missing":
            open("/no/such/file")
        if what == "exit":
            print("last words", file=sys.stderr)
            sys.exit(3)
        if what == "exit0":
            sys.exit()
        if what == "segfault":
            ctypes.string_at(0)
        if what == "abort":
            os.abort()
        return "survived"

    def bad(self, what):
        if what == "big int":
            return 1 << 70
        if what == "object":
            return object()
        if what == "object array":
            return np.array([object()])
        if what == "self":
            v = []
            v.append(v)
            return v
        if what == "deep":
            v = []
            for _ in range(70):
                v = [v]
            return v
        if what == "many":
            return [0] * ((1 << 20) + 1)
        if what == "naive":
            return datetime.datetime(2026, 1, 1)
        if what == "text array":
            return np.array(["a"])
        if what == "set":
            return {1, 2}
        raise ValueError(what)

    # Waiting.

    def wait(self, ctx):
        print("waiting", flush=True)
        while ctx.wait(10):
            pass
        self.n += 1
        ctx.check()

    def spin(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            pass
        return "done"

    async def sleep(self):
        print("sleeping", flush=True)
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            self.n += 1
            raise

    def deadline(self, ctx):
        return 0.0 if ctx.remaining is None else ctx.remaining

    # Streams.

    def items(self, n):
        try:
            for i in range(n):
                yield i
        finally:
            self.n += 1

    async def aitems(self, n):
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    def no_stream(self, n):
        return n

    def broken(self, n):
        yield from range(n)
        raise ValueError("the stream breaks")

    def frames(self, n):
        for i in range(n):
            a = us.empty((2, 2), "float32")
            a[:] = i
            yield a

    # Arrays.

    def sum(self, a):
        assert isinstance(a, np.ndarray), type(a)
        return a.sum()

    def shape(self, a):
        return [a.dtype.name, list(a.shape), bool(a.flags.writeable)]

    def nested(self, v):
        return float(v["A"].sum() + sum(x.sum() for x in v["More"]))

    def make(self, n):
        a = us.empty((n,), "float64")
        a[:] = np.arange(n)
        return a

    def double(self, a):
        out = us.empty(a.shape, a.dtype)
        np.multiply(a, 2, out=out)
        return out

    def ordinary(self, what):
        a = np.arange(12, dtype="float64").reshape(3, 4)
        if what == "fortran":
            return np.asfortranarray(a)
        if what == "big-endian":
            return a.astype(">f8")
        if what == "strided":
            return np.arange(24, dtype="float64").reshape(3, 8)[:, ::2] / 2
        if what == "empty":
            return np.zeros((0, 4))
        return a

    def part(self, n):
        a = us.empty((n, 4), "float64")
        a[:] = np.arange(n)[:, None]
        return a[1:]

    def scalar(self):
        return np.float32(1.5)

    def write(self, a):
        a[0] = 1

    def increase(self, a):
        a += 1
        return None

    def keep(self, a):
        self.kept = a

    def kept_sum(self):
        return self.kept.sum()

    def drop(self):
        self.kept = None

    def back(self, a):
        return a[1:]

    def mappings(self):
        with open("/proc/self/maps") as f:
            return sum("memfd:understudy" in line and "progress" not in line for line in f)

    def descriptors(self):
        return len(os.listdir("/proc/self/fd"))

    # Logs.

    def say(self, text, ctx):
        ctx.log.warning(text, radius=3, took=datetime.timedelta(seconds=2))
        logging.getLogger("lib").error("from logging")

    # Others.

    def ask(self, other: us.Ref, n):
        return other.call("add", n, 1)

    def tell(self, other: us.Ref, n):
        for _ in range(n):
            other.cast("add", 1, 1)

    def ask_fail(self, other: us.Ref, what):
        try:
            other.call("fail", what)
        except OutOfPaint as e:
            return f"OutOfPaint: {e}"
        except us.ActorDied as e:
            return "died"
        except us.RemoteError as e:
            return f"{e.type}: {e.text}"

    def ask_sum(self, other: us.Ref, n):
        a = us.empty(n, "float64")
        a[:] = 1
        return float(other.call("double", a).sum())

    def ask_wait(self, other: us.Ref, what):
        other.call(what)

    def ask_me(self, me: us.Ref, ctx):
        return me.call("ask_me", me)

    def fork(self):
        import multiprocessing

        context = multiprocessing.get_context("fork")
        p = context.Process(target=time.sleep, args=(1000,))
        p.start()
        return p.pid

    def stop(self):
        if self.mode == "bad stop":
            raise ValueError("cannot stop")


if __name__ == "__main__":
    us.run(Worker)
