#!/usr/bin/env python3
"""Measures the CPU time that servers take per request, an old program beside a new one.

    cargo build --release --bin quartet --example closed_loop
    benches/cpu.py new='target/release/quartet --port {port} --http-port off --dir ""' old='path/to/old --port {port} --http-port off --dir ""'

GET and SET of 64 bytes, CL.THROTTLE, and a lock's acquisition and release, each with 50 connections and 1, 16 or 64 requests in
flight on each.  The load is `examples/closed_loop.rs`.  Rounds are interleaved and their order is turned round each time; the table
shows medians, and ratios to the last server named.  The kernel counts CPU time in nanoseconds (`/proc/PID/task/*/schedstat`), so
that short runs are exact.  All servers listen on loopback and are stopped at the end.
"""
import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile

from servers import Server, requests

CONNECTIONS = 50
PIPELINES = (1, 16, 64)
REQUESTS = {1: 60_000, 16: 480_000, 64: 960_000}
KEYS = 100_000
REQUESTS_OF_A_CLIENT = 8


def number(client, turn):
    return (client * 7919 + turn * 104729) % KEYS


WORKLOADS = {
    "GET": lambda client, turn: [["GET", f"key:{number(client, turn):012}"]],
    "SET": lambda client, turn: [["SET", f"key:{number(client, turn):012}", "v" * 64]],
    "CL.THROTTLE": lambda client, turn: [["CL.THROTTLE", f"user:{number(client, turn)}", "15", "30", "60"]],
    "lock pair": lambda client, turn: [
        ["LOCK.ACQUIRE", f"r{number(client, turn)}:{client}", f"owner-{client}", "TTL", "30000"],
        ["LOCK.RELEASE", f"r{number(client, turn)}:{client}", f"owner-{client}"],
    ],
}


def cpu_nanos(server):
    total = 0
    for path in glob.glob(f"/proc/{server.process.pid}/task/*/schedstat"):
        with open(path) as counts:
            total += int(counts.read().split()[0])
    return total


def load_of(workload, pipeline, scale):
    """The load as JSON without its port, and how many times it does the workload."""
    clients = []
    for client in range(CONNECTIONS * pipeline):
        commands = [command for turn in range(REQUESTS_OF_A_CLIENT) for command in workload(client, turn)]
        clients.append([("", list(requests(command))) for command in commands])
    turns = max(1, int(REQUESTS[pipeline] * scale) // (len(clients) * REQUESTS_OF_A_CLIENT))
    load = {"protocol": "resp", "connections": CONNECTIONS, "turns": turns, "clients": clients}
    return json.dumps(load)[1:], turns * len(clients) * REQUESTS_OF_A_CLIENT


def run(port, load):
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(os.path.dirname(__file__), "../target"))
    command = os.path.join(target, "release/examples/closed_loop")
    if not os.path.exists(command):
        sys.exit("first: cargo build --release --example closed_loop")
    text = '{"port": %d, %s' % (port, load)
    subprocess.run(command, input=text, stdout=subprocess.DEVNULL, text=True, check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--scale", type=float, default=1.0, help="times the number of requests")
    parser.add_argument("servers", nargs="+", metavar="name=command")
    options = parser.parse_args()
    print("| workload | server | CPU µs | ratio | lowest and highest ratio of a round |")
    print("|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        servers = [Server(definition, folder) for definition in options.servers]
        try:
            fill, _ = load_of(WORKLOADS["SET"], 64, 1.0)
            for server in servers:
                run(server.port, fill)
            for name, workload in WORKLOADS.items():
                for pipeline in PIPELINES:
                    measure(servers, name, workload, pipeline, options)
        finally:
            for server in servers:
                server.stop()


def measure(servers, name, workload, pipeline, options):
    load, count = load_of(workload, pipeline, options.scale)
    figures = {server.name: [] for server in servers}
    for round_number in range(options.rounds):
        for server in servers if round_number % 2 == 0 else servers[::-1]:
            before = cpu_nanos(server)
            run(server.port, load)
            figures[server.name].append((cpu_nanos(server) - before) / 1000 / count)
    base = figures[servers[-1].name]
    for server in servers:
        own = figures[server.name]
        ratios = [one / other for one, other in zip(own, base)]
        median = statistics.median(own)
        row = (f"{name} P{pipeline}", server.name, f"{median:.3f}", f"{median / statistics.median(base):.3f}")
        print("| " + " | ".join(row + (f"{min(ratios):.2f} {max(ratios):.2f}",)) + " |", flush=True)


if __name__ == "__main__":
    main()
