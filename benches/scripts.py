#!/usr/bin/env python3
"""Measures the CPU time that servers take per script, an old program or another server beside a new one.

    cargo build --release
    benches/scripts.py new='target/release/quartet --port {port} --http-port off --dir "" --threads 1' \\
        valkey='valkey-server --port {port} --save "" --appendonly no'

Releasing a lock (get, compare, del), a rate limiter that computes with the server's time, and a script of a thousand
`redis.call('incr')`, each with 50 connections and 1 or 16 requests in flight on each, sent by `quartet bench command`.  Rounds are
interleaved and their order is turned round each time; the table shows medians, and ratios to the last server named.  All servers
listen on loopback and are stopped at the end.
"""
import argparse
import statistics
import tempfile

from servers import Server, bench, requests

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


# What holds a lock in all keys, so that a call need not know which key it was given.
TOKEN = "token-12345"

WORKLOADS = {
    # What a call of the script says behind its key, how often it is called, and whether its keys are set before.
    "release a lock": (RELEASE, [TOKEN], 48_000, True),
    "limit a rate": (LIMIT, ["100", "100", "60", "1"], 48_000, False),
    "a thousand INCR": (THOUSAND, [], 1_600, False),
}


def load_script(server, script):
    with server.connect() as connection:
        connection.sendall(requests(["SCRIPT", "LOAD", script]))
        return connection.recv(256).split(b"\r\n")[1].decode()


def measure(servers, name, workload, pipeline, options):
    script, arguments, count, is_filled = workload
    count = max(800, int(count * options.scale * (1 if pipeline == 16 else 0.5)))
    # Each key once.
    keys = {"count": count, "keys": count, "distribution": "sequential", "prefix": "key:"}
    figures = {server.name: [] for server in servers}
    for round_number in range(options.rounds):
        for server in servers if round_number % 2 == 0 else servers[::-1]:
            digest = load_script(server, script)
            if is_filled:
                bench(options.bench, server, "command", "SET", "__key__", TOKEN, pipeline=16, **keys)
            call = ["EVALSHA", digest, "1", "__key__", *arguments]
            run = bench(options.bench, server, "command", *call, pipeline=pipeline, **keys)
            figures[server.name].append(run["server_cpu_micros"])
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
    parser.add_argument("--bench", default="target/release/quartet", help="the program with the subcommand `bench`")
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
