#!/usr/bin/env python3
"""GET over HTTP/1.1 with kept connections, against a plain route over a locked map, interleaved in one run.

    cargo build --release --bin quartet --example plain_route
    benches/http_speed.py --quartet target/release/quartet --plain target/release/examples/plain_route

Needs wrk.  Prints requests per second of each in each round, and the ratio of their medians.
"""
import argparse
import http.client
import os
import re
import statistics
import subprocess
import sys
import time

from servers import HeldPort

VALUE = b"v" * 64


def start(words, port):
    """Starts a server and writes the value that is going to be read."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(400):
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            connection.request("PUT", "/cache/mykey", VALUE, {"Content-Type": "text/plain"})
            if connection.getresponse().status < 300:
                return process
        except OSError:
            time.sleep(0.025)
        if process.poll() is not None:
            break
    process.terminate()
    sys.exit(f"{words[0]} did not come up")


def requests_per_second(port, seconds, connections):
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", f"http://127.0.0.1:{port}/cache/mykey"]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in printed or "Socket errors" in printed:
        sys.exit(printed)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", printed).group(1))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quartet", required=True, help="the server's program")
    parser.add_argument("--plain", required=True, help="the program of the plain route")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement")
    parser.add_argument("--connections", type=int, default=50)
    options = parser.parse_args()
    held = {"quartet": HeldPort(), "plain": HeldPort()}
    ports = {name: port.number for name, port in held.items()}
    port = str(ports["quartet"])
    commands = {
        "quartet": [os.path.abspath(options.quartet), "--port", "0", "--http-port", port, "--dir", ""],
        "plain": [os.path.abspath(options.plain), str(ports["plain"])],
    }
    processes, results = [], {name: [] for name in commands}
    try:
        for name, words in commands.items():
            processes.append(start(words, ports[name]))
        for number in range(1, options.rounds + 1):
            for name in commands:
                results[name].append(requests_per_second(ports[name], options.seconds, options.connections))
            print(f"round {number}: " + ", ".join(f"{name} {rates[-1]:.0f}/s" for name, rates in results.items()))
    finally:
        for process in processes:
            process.terminate()
            process.wait()
    ratio = statistics.median(results["quartet"]) / statistics.median(results["plain"])
    print(f"quartet answers {ratio:.2f} times as many as the plain route")


if __name__ == "__main__":
    main()
