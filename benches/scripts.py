#!/usr/bin/env python3
"""Measures the CPU time that servers take per script, an old program or another server beside a new one.

    cargo build --release
    benches/scripts.py new='target/release/quartet --port {port} --http-port off --dir "" --threads 1' \\
        valkey='valkey-server --port {port} --save "" --appendonly no'

Releasing a lock (get, compare, del), a rate limiter that computes with the server's time, and a script of a thousand
`redis.call('incr')`, each with 50 connections and 1 or 16 requests in flight on each.  Rounds are interleaved and their order is
turned round each time; the table shows medians, and ratios to the last server named.  The kernel counts CPU time in nanoseconds
(`/proc/PID/task/*/schedstat`).  All servers listen on loopback and are stopped at the end.
"""
import argparse
import statistics
import tempfile

from cpu import cpu_nanos
from servers import Load, Server, requests

CONNECTIONS = 50
PIPELINES = (1, 16)

RELEASE = """
if redis.call('get', KEYS[1]) == ARGV[1] then
    return redis.call('del', KEYS[1])
end
return 0
"""

# One cell of the generic rule, as limiters in Go keep it: the time at which the next request would be on time.
LIMIT = """
redis.replicate_commands()
local burst, rate, period, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local interval = period / rate
local increment = interval * cost
local clock = redis.call('TIME')
local now = (clock[1] - 1483228800) + clock[2] / 1000000
local due = redis.call('GET', KEYS[1])
due = due and tonumber(due) or now
due = math.max(due, now)
local next_due = due + increment
local room = (now - (next_due - burst * interval)) / interval
if room < 0 then
    return {0, 0, tostring(-room * interval), tostring(due - now)}
end
local lasts = next_due - now
if lasts > 0 then
    redis.call('SET', KEYS[1], next_due, 'EX', math.ceil(lasts))
end
return {cost, math.floor(room), '-1', tostring(lasts)}
"""

THOUSAND = "for i = 1, 1000 do redis.call('incr', KEYS[1]) end return 1"


class Workload:
    """A script, how many times it runs, and what a call of it says."""

    def __init__(self, script, count, arguments, fills=False):
        self.script, self.count, self.arguments, self.fills = script, count, arguments, fills

    def commands(self, sha, first, length):
        numbers = range(first, first + length)
        return [["EVALSHA", sha, "1", f"key:{number}", *self.arguments(number)] for number in numbers]


WORKLOADS = {
    "release a lock": Workload(RELEASE, 48_000, lambda number: [f"token-{number}"], fills=True),
    "limit a rate": Workload(LIMIT, 48_000, lambda _: ["100", "100", "60", "1"]),
    "a thousand INCR": Workload(THOUSAND, 1_600, lambda _: []),
}


def is_whole(replies):
    """Whether `replies` are so many whole replies."""

    def check(answer):
        position = 0
        for _ in range(replies):
            position = end_of_reply(answer, position)
            if position is None:
                return False
        return True

    return check


def end_of_reply(answer, position):
    line = answer.find(b"\r\n", position)
    if line < 0:
        return None
    kind, text, position = answer[position : position + 1], answer[position + 1 : line], line + 2
    if kind == b"$":
        position += int(text) + 2
        return position if position <= len(answer) else None
    if kind == b"*":
        for _ in range(int(text)):
            position = end_of_reply(answer, position)
            if position is None:
                return None
    return position


def check(answer):
    if answer.startswith(b"-"):
        raise SystemExit(f"a server refuses: {answer[:200]!r}")


def run(server, batches, replies):
    """Sends each connection's batches in turn, and waits for the answers of each."""
    turns = [iter(batches[number::CONNECTIONS]) for number in range(CONNECTIONS)]
    load = Load(("127.0.0.1", server.port), CONNECTIONS, lambda number: next(turns[number], None), is_whole(replies), check)
    load.run()


def batches_of(commands, pipeline):
    return [requests(*commands[start : start + pipeline]) for start in range(0, len(commands), pipeline)]


def load_script(server, script):
    with server.connect() as connection:
        connection.sendall(requests(["SCRIPT", "LOAD", script]))
        return connection.recv(256).split(b"\r\n")[1].decode()


def measure(servers, name, workload, pipeline, options):
    count = int(workload.count * options.scale * (1 if pipeline == 16 else 0.5)) // 800 * 800 or 800
    fill = batches_of([["SET", f"key:{number}", f"token-{number}"] for number in range(count)], 16)
    figures = {server.name: [] for server in servers}
    for round_number in range(options.rounds):
        for server in servers if round_number % 2 == 0 else servers[::-1]:
            sha = load_script(server, workload.script)
            batches = batches_of(workload.commands(sha, 0, count), pipeline)
            if workload.fills:
                run(server, fill, 16)
            before = cpu_nanos(server)
            run(server, batches, pipeline)
            figures[server.name].append((cpu_nanos(server) - before) / 1000 / count)
            with server.connect() as connection:
                connection.sendall(requests(["FLUSHALL"]))
                connection.recv(64)
    base = figures[servers[-1].name]
    for server in servers:
        own = figures[server.name]
        ratios = [one / other for one, other in zip(own, base)]
        median = statistics.median(own)
        row = (f"{name} P{pipeline}", server.name, f"{median:.3f}", f"{median / statistics.median(base):.3f}")
        print("| " + " | ".join(row + (f"{min(ratios):.2f} {max(ratios):.2f}",)) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--scale", type=float, default=1.0, help="times the number of requests")
    parser.add_argument("servers", nargs="+", metavar="name=command")
    options = parser.parse_args()
    print("| workload | server | CPU µs | ratio | lowest and highest ratio of a round |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        servers = [Server(definition, folder) for definition in options.servers]
        try:
            for name, workload in WORKLOADS.items():
                for pipeline in PIPELINES:
                    measure(servers, name, workload, pipeline, options)
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
