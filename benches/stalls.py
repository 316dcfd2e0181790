#!/usr/bin/env python3
"""The longest time that one client waits for a PONG while another writes, changes, reads and deletes a large value.

    cargo build --release --bin quartet
    benches/stalls.py [--objects 1000000] quartet='target/release/quartet --port {port} --http-port off --threads 1 --dir ""' redis='redis-server --port {port} --save ""'

With `--objects` the values are a hash, a list, a set and a sorted set of so many parts; with `--only` the steps are those named.

The servers take turns.  Prints for each step the median over the rounds of the longest pause in milliseconds, beside it how
long the step itself took, and the memory that is resident after the value was deleted.  A pause within the time after the step in which
memory is given back counts too.  The first step does nothing: its pause is the machine's.
"""
import argparse
import socket
import statistics
import tempfile
import threading
import time

from data_types import fill, send
from servers import Server, requests

MEBIBYTES = 256

# How long the other client is watched after the step, in seconds.
AFTER = 0.5

# Small keys, and how many of them a command takes.
KEYS = 500_000
KEYS_PER_COMMAND = 100

NOTHING = ("nothing", [], [["PING"]])

STEPS = [
    ("SET", lambda value: [["SET", "large", value]]),
    ("SET over it", lambda value: [["SET", "large", value]]),
    ("APPEND", lambda value: [["APPEND", "large", "end"]]),
    ("GET", lambda value: [["GET", "large"]]),
    ("GETRANGE of all", lambda value: [["GETRANGE", "large", 0, -1]]),
    ("SETRANGE within", lambda value: [["SETRANGE", "large", 100000000, "x"]]),
    ("EXEC of SET", lambda value: [["MULTI"], ["SET", "large", value], ["EXEC"]]),
    ("DEL", lambda value: [["DEL", "large"]]),
    ("SETRANGE 424000000", lambda value: [["SETRANGE", "hole", 424000000, "x"]]),
    ("DEL of that", lambda value: [["DEL", "hole"]]),
    ("MSET of 100 keys with 1 MiB", lambda value: [["MSET", *(word for key in range(100) for word in (f"key:{key}", value[: 1 << 20]))]]),
    ("FLUSHALL", lambda value: [["FLUSHALL"]]),
]


def many_keys():
    """The names of many small keys, as many in each list as a command takes."""
    return [[f"small:{key}" for key in range(first, first + KEYS_PER_COMMAND)] for first in range(0, KEYS, KEYS_PER_COMMAND)]


def object_steps(parts):
    """Steps with large objects, and with many keys, each with what is done before it, which is not measured."""
    return [
        (
            f"UNLINK of {KEYS:,} keys",
            [["MSET", *(word for key in keys for word in (key, "value" * 20))] for keys in many_keys()],
            [["UNLINK", *keys] for keys in many_keys()],
        ),
        ("HGETALL", [], [["HGETALL", "hash"]]),
        ("LRANGE of all", [], [["LRANGE", "list", 0, -1]]),
        ("SMEMBERS", [], [["SMEMBERS", "set"]]),
        ("ZRANGE of all", [], [["ZRANGE", "sorted set", 0, -1, "WITHSCORES"]]),
        ("SUNIONSTORE", [], [["SUNIONSTORE", "copy", "set"]]),
        ("UNLINK of that", [], [["UNLINK", "copy"]]),
        ("ZUNIONSTORE", [], [["ZUNIONSTORE", "copy", 1, "sorted set"]]),
        ("DEL of that", [], [["DEL", "copy"]]),
        ("COPY of the hash", [], [["COPY", "hash", "copy"]]),
        ("SET over that", [], [["SET", "copy", "value"]]),
        ("COPY of the list", [["DEL", "copy"]], [["COPY", "list", "copy"]]),
        ("RENAME over that", [["SET", "other", "value"]], [["RENAME", "other", "copy"]]),
        ("LSET in the middle", [], [["LSET", "list", parts // 2, "elm:000000000001"]]),
        ("LINSERT in the middle", [], [["LINSERT", "list", "BEFORE", "elm:%012d" % (parts // 2 + 1), "new"]]),
        ("LREM of one behind the middle", [], [["LREM", "list", 1, "elm:%012d" % (parts // 2 + 2)]]),
        ("LREM of nothing", [], [["LREM", "list", 0, "nobody"]]),
        ("SORT ALPHA", [], [["SORT", "set", "ALPHA"]]),
        ("SINTER", [["DEL", "copy"], ["COPY", "set", "copy"]], [["SINTER", "set", "copy"]]),
        ("SDIFFSTORE", [], [["SDIFFSTORE", "left", "set", "copy"]]),
        ("SPOP of all but one", [], [["SPOP", "copy", parts - 1]]),
        ("ZRANGEBYSCORE of all", [], [["ZRANGEBYSCORE", "sorted set", "-inf", "+inf", "WITHSCORES"]]),
        ("ZREMRANGEBYRANK", [["DEL", "copy"], ["COPY", "sorted set", "copy"]], [["ZREMRANGEBYRANK", "copy", 0, -2]]),
        ("DUMP of the hash", [], [["DUMP", "hash"]]),
        *(
            (f"RESTORE of the {kind}", [["DEL", "copy"]], lambda server, kind=kind: [["RESTORE", "copy", 0, dump(server, kind)]])
            for kind in ("hash", "list", "set", "sorted set")
        ),
        ("UNLINK of all", [], [["UNLINK", "hash", "list", "set", "sorted set"]]),
        ("FLUSHALL", [], [["FLUSHALL"]]),
    ]


class Pinger(threading.Thread):
    """Asks for a PONG time and again, and keeps the longest time that one took."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.stream = server.connect()
        self.stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.longest = 0.0
        self.is_ending = False

    def run(self):
        while not self.is_ending:
            began = time.perf_counter()
            self.stream.sendall(b"PING\r\n")
            self.stream.recv(64)
            self.longest = max(self.longest, time.perf_counter() - began)
            time.sleep(0.0005)


def dump(server, key):
    """The payload of a key."""
    with server.connect() as stream, stream.makefile("rb") as replies:
        stream.sendall(requests(["DUMP", key]))
        return replies.read(int(replies.readline()[1:]))


def reply(stream):
    """Reads one reply that is no array but that of EXEC, without keeping it."""
    line = b""
    while not line.endswith(b"\r\n"):
        line += stream.recv(1)
    if line[:1] == b"*" and int(line[1:]) > 1000:
        # Large arrays hold strings alone, of which the last line shows the end.
        lines = 2 * int(line[1:])
        while lines:
            lines -= stream.recv(1 << 20).count(b"\n")
    elif line[:1] == b"*":
        for _ in range(int(line[1:])):
            reply(stream)
    elif line[:1] == b"$":
        left = int(line[1:]) + 2
        while left:
            left -= len(stream.recv(min(left, 1 << 20)))
    elif line[:1] == b"-":
        raise SystemExit(line)


def measure(server, commands):
    """The longest pause and the whole time, in milliseconds."""
    commands = commands(server) if callable(commands) else commands
    encoded = requests(*commands)
    stream = server.connect()
    pinger = Pinger(server)
    pinger.start()
    time.sleep(0.05)
    pinger.longest = 0.0
    began = time.perf_counter()
    stream.sendall(encoded)
    for _ in commands:
        reply(stream)
    took = time.perf_counter() - began
    time.sleep(AFTER)
    pinger.is_ending = True
    pinger.join()
    stream.close()
    return 1000 * pinger.longest, 1000 * took


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="+", help="name=command, with {port} and {dir}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--objects", type=int, metavar="PARTS", help="large objects instead of large strings")
    parser.add_argument("--only", action="append", metavar="STEP", help="this step and others that are named alike")
    parser.add_argument("--mebibytes", type=int, default=MEBIBYTES, help="the length of the strings")
    options = parser.parse_args()
    value = b"v" * (options.mebibytes << 20)
    steps = object_steps(options.objects) if options.objects else [(step, [], commands(value)) for step, commands in STEPS]
    steps = [NOTHING] + [step for step in steps if not options.only or step[0] in options.only]
    with tempfile.TemporaryDirectory() as folder:
        servers = [Server(definition, folder) for definition in options.servers]
        results = {}
        start = {server.name: server.resident_bytes() for server in servers}
        for _ in range(options.rounds):
            if options.objects:
                for server in servers:
                    for kind in ("hash", "list", "set", "sorted set"):
                        fill(server, kind, [kind.encode()], options.objects)
            for step, before, commands in steps:
                for server in servers:
                    if before:
                        send(server, requests(*before), len(before))
                    results.setdefault((step, server.name), []).append(measure(server, commands))
        time.sleep(1)
        print(f"{'':<30}" + "".join(f"{server.name:>24}" for server in servers))
        for step, _, _ in steps:
            line = f"{step:<30}"
            for server in servers:
                pauses, times = zip(*results[step, server.name])
                line += f"{statistics.median(pauses):>10.1f} of {statistics.median(times):>8.1f}ms"
            print(line)
        for server in servers:
            kept = (server.resident_bytes() - start[server.name]) / 1e6
            print(f"{server.name} keeps {kept:.1f} MB after all was deleted")
            server.stop()


if __name__ == "__main__":
    main()
