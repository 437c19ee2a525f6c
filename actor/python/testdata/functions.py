"""An actor of functions, which misbehaves."""

import os
import sys
import threading
import time

import understudy_worker as us

if os.environ.get("BAD_IMPORT"):
    import no_such_library


class Unhappy:
    def __del__(self):
        raise ValueError("in __del__")


@us.function
def misbehave(what):
    if what == "print":
        os.write(int(os.environ.get("WIRE", "3")), b"hello, world\n")
        time.sleep(1000)
    if what == "close":
        os.close(3)
        time.sleep(1000)
    if what == "twice":
        from understudy_worker import _worker

        _worker._worker.parent.respond(1, None, "once")
        _worker._worker.parent.respond(1, None, "twice")
    if what == "unasked":
        from understudy_worker import _worker

        _worker._worker.parent.respond(12345, None, "what?")
    if what == "flood":
        for i in range(20000):
            print("flood", i, "x" * 100, file=sys.stderr)
    if what == "del":
        Unhappy()
    if what == "large":
        return "x" * (120 << 20)
    if what == "thread dies":
        t = threading.Thread(target=lambda: 1 / 0)
        t.start()
        t.join()
    if what == "nan":
        return float("nan")
    return what


@us.function(name="length")
def _length(v):
    return len(v)


@us.function
def hang():
    print("hanging", flush=True)
    while True:
        time.sleep(1000)


if __name__ == "__main__":
    us.run()
