#!/usr/bin/env python3
"""Counts the instructions that servers take per request, which no other load on the machine disturbs.

    benches/instructions.py before='path/to/quartet --port {port} --http-port off --dir ""' after='target/release/quartet --port {port} --http-port off --dir ""'

Each server runs under callgrind twice per workload, with few and with many requests; the difference is what the requests took, without
starting and stopping.  Ratios are to the first server named; two runs of one program differ by a thousandth.  Needs valgrind, which
hides the page through which `rustix` reads the clock, so the programs are built to read it through the C library:

    RUSTFLAGS="--cfg rustix_use_libc" cargo build --release --bin quartet --target-dir target/callgrind
"""
import argparse
import hashlib
import re
import subprocess
import sys
import tempfile

from scripts import RELEASE
from servers import ERROR, Server, requests

PIPELINE = 16
FEW, MANY = 10_000, 60_000
KEYS = 1_000
RELEASE_ID = hashlib.sha1(RELEASE.encode()).hexdigest()

WORKLOADS = {
    "GET": lambda n: [["GET", f"key:{n % KEYS:012}"]],
    "SET": lambda n: [["SET", f"key:{n % KEYS:012}", "v" * 64]],
    "CL.THROTTLE": lambda n: [["CL.THROTTLE", f"user:{n % KEYS}", "15", "30", "60"]],
    "lock pair": lambda n: [["LOCK.ACQUIRE", f"r{n % KEYS}", "owner", "TTL", "30000"], ["LOCK.RELEASE", f"r{n % KEYS}", "owner"]],
    "SET, release by a script": lambda n: [
        ["SET", f"key:{n % KEYS:012}", f"token-{n}"],
        ["EVALSHA", RELEASE_ID, "1", f"key:{n % KEYS:012}", f"token-{n}"],
    ],
}


def instructions(definition, workload, count):
    """Instructions of a server's whole life in which it answers `count` times the workload."""
    name, command = definition.split("=", 1)
    with tempfile.TemporaryDirectory() as folder:
        profile = f"{folder}/profile"
        under = f"{name}=valgrind --tool=callgrind --callgrind-out-file={profile} {command}"
        server = Server(under, folder)
        with server.connect() as connection:
            fill = [["SET", f"key:{n:012}", "v" * 64] for n in range(KEYS)]
            send(connection, [["SCRIPT", "LOAD", RELEASE], *fill])
            batch = [request for n in range(count) for request in workload(n)]
            send(connection, batch)
        server.stop()
        with open(profile) as lines:
            return int(re.search(r"^(?:summary|totals): (\d+)", lines.read(), re.M).group(1))


def send(connection, batch):
    for start in range(0, len(batch), PIPELINE):
        part = batch[start:start + PIPELINE]
        connection.sendall(requests(*part))
        read_replies(connection, len(part))


def read_replies(connection, count):
    """Reads `count` replies and fails at an error among them."""
    received = b""
    while replies_in(received) < count:
        block = connection.recv(1 << 16)
        if not block:
            sys.exit("the server closed the connection")
        received += block
    if ERROR.search(received):
        sys.exit(f"the server refused a request: {received[:200]!r}")


def replies_in(received):
    """How many whole replies there are; of arrays those of integers, bulk strings and nulls."""
    count, at, inside = 0, 0, []
    while (end := received.find(b"\r\n", at)) >= 0:
        kind, size = received[at:at + 1], received[at + 1:end]
        at = end + 2
        if kind == b"*" and int(size) > 0:
            inside.append(int(size))
            continue
        if kind == b"$" and int(size) >= 0:
            at += int(size) + 2
            if at > len(received):
                break
        if inside:
            inside[-1] -= 1
        while inside and inside[-1] == 0:
            inside.pop()
            if inside:
                inside[-1] -= 1
        count += not inside
    return count


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="+", metavar="name=command")
    options = parser.parse_args()
    print("| workload | server | instructions/request | ratio |")
    print("|---|---|---|---|")
    for name, workload in WORKLOADS.items():
        first = None
        for definition in options.servers:
            few, many = (instructions(definition, workload, count) for count in (FEW, MANY))
            each = (many - few) / (MANY - FEW)
            first = first or each
            print(f"| {name} | {definition.split('=')[0]} | {each:.0f} | {each / first:.3f} |", flush=True)


if __name__ == "__main__":
    main()
