"""Python's multiprocessing.Pipe between two processes (internal/driver says what
a driver is). Without an argument the message itself goes through the pipe; with
"shm" only the index of a slot in shared memory, where the message is."""

import multiprocessing
import struct
import sys
import time
from multiprocessing import shared_memory

PING, PONG = "ping, 16 letters", "pong, 16 letters"
SLOT, SLOTS = 64, 64
LAYOUT = struct.Struct("=q16s")


def changed(message):
    return message[0] + 1, PONG


def check(message, i):
    if message != (1000 + i + 1, PONG):
        raise SystemExit(f"reply {message} to request {1000 + i}")


def other(conn, parents, memory):
    parents.close()  # so that the parent's death ends this process
    counted = 0
    try:
        while True:
            message = conn.recv()
            if message is None:
                conn.send(counted)
                counted = 0
            elif type(message) is int:
                n, _ = LAYOUT.unpack_from(memory.buf, message * SLOT)
                LAYOUT.pack_into(memory.buf, message * SLOT, n + 1, PONG.encode())
                conn.send(message)
            elif len(message) == 3:
                counted += 1
            else:
                conn.send(changed(message))
    except (EOFError, KeyboardInterrupt, OSError):
        pass


def by_value(conn):
    def trip(i):
        conn.send((1000 + i, PING))
        check(conn.recv(), i)

    return trip


def by_index(conn, memory):
    def trip(i):
        slot = i % SLOTS
        LAYOUT.pack_into(memory.buf, slot * SLOT, 1000 + i, PING.encode())
        conn.send(slot)
        slot = conn.recv()
        n, s = LAYOUT.unpack_from(memory.buf, slot * SLOT)
        check((n, s.decode()), i)

    return trip


def round_trips(trip, n, pause):
    clock, took = time.perf_counter_ns, [0] * n
    last = clock()
    for i in range(n):
        if pause:
            time.sleep(pause / 1e6)
            last = clock()
        trip(i)
        now = clock()
        took[i] = now - last
        last = now
    return took


def stream(conn, n):
    start = time.perf_counter_ns()
    for i in range(n):
        conn.send((1000 + i, PING, True))
    conn.send(None)
    if conn.recv() != n:
        raise SystemExit("messages were lost")
    return time.perf_counter_ns() - start


def main():
    context = multiprocessing.get_context("fork")
    memory = None
    if sys.argv[1:] == ["shm"]:
        memory = shared_memory.SharedMemory(create=True, size=SLOT * SLOTS)
    mine, others = context.Pipe()
    process = context.Process(target=other, args=(others, mine, memory), daemon=True)
    process.start()
    others.close()
    trip = by_index(mine, memory) if memory else by_value(mine)
    try:
        for line in sys.stdin:
            word, *numbers = line.split()
            numbers = [int(x) for x in numbers]
            answer = round_trips(trip, *numbers) if word == "round" else [stream(mine, *numbers)]
            print(*answer, flush=True)
    finally:
        mine.close()
        process.join()
        if memory:
            memory.close()
            memory.unlink()


main()
