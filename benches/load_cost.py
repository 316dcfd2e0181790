#!/usr/bin/env python3
"""Measures what `quartet bench` itself takes, beside redis-benchmark against the same server.

    cargo build --release --bin quartet
    benches/load_cost.py --bench target/release/quartet quartet='target/release/quartet --port {port} --http-port off --broker-port off --dir ""'

GET and SET of 64 bytes with 50 connections and 16 or 64 requests in flight on each, in turns.  Of both programs the whole processor time
is counted, from start to end.  The server listens on loopback and is stopped at the end.
"""
import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile

from servers import Server

REQUESTS = {16: 1_000_000, 64: 2_000_000}


def cpu_micros(command):
    """Microseconds of processor time that a program takes, and what it prints."""
    def used():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (usage.ru_utime + usage.ru_stime) * 1e6
    before = used()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    return used() - before, done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="target/release/quartet", help="the program with the subcommand `bench`")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("server", metavar="name=command")
    options = parser.parse_args()
    print("| workload | redis-benchmark, µs/request | quartet bench | ratio | lowest and highest | requests/s | |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options.server, folder)
        try:
            for pipeline, count in REQUESTS.items():
                for test in ("get", "set"):
                    measure(server, options, test, pipeline, count)
        finally:
            server.stop()


def measure(server, options, test, pipeline, count):
    words = ["-p", str(server.port), "--csv", "-t", test, "-c", "50", "-d", "64", "-r", "100000"]
    peer = ["redis-benchmark", *words, "-P", str(pipeline), "-n", str(count)]
    own = [options.bench, "bench", test, "--json", "--pipeline", str(pipeline), "--count", str(count), "--prefix", "key:"]
    own += ["--server", f":{server.port}"]
    if test == "get":
        # The values of redis-benchmark are there, or not; both programs read the same keys.
        own.append("--no-fill")
    rows = []
    for _ in range(options.rounds):
        peer_micros, printed = cpu_micros(peer)
        peer_rate = float(printed.splitlines()[-1].split(",")[1].strip('"'))
        own_micros, printed = cpu_micros(own)
        own_rate = json.loads(printed)["figures"]["operations_per_second"]
        rows.append((peer_micros / count, own_micros / count, own_micros / peer_micros, peer_rate, own_rate))
    peer_cpu, own_cpu, ratio, peer_rate, own_rate = (statistics.median(column) for column in zip(*rows))
    ratios = [row[2] for row in rows]
    cells = (f"{test} P{pipeline}", f"{peer_cpu:.3f}", f"{own_cpu:.3f}", f"{ratio:.2f}", f"{min(ratios):.2f} {max(ratios):.2f}")
    print("| " + " | ".join(cells) + f" | {peer_rate:.0f} | {own_rate:.0f} |", flush=True)


if __name__ == "__main__":
    main()
