#!/usr/bin/env python3
"""Counts the resident bytes that a live counter of the rate limiter takes, a million of them, keys of sixteen bytes included.

    benches/limits.py quartet='target/release/quartet --port {port} --http-port off --dir ""'

Each counter lasts for the whole measurement.  What a check takes is measured by `quartet bench limit`.  All servers listen on
loopback and are stopped at the end.
"""
import argparse
import tempfile

from servers import Server, requests

COUNTERS = 1_000_000
END = requests(["PING"])
ENDED = b"+PONG\r\n"


def memory(server, count):
    before = server.resident_bytes()
    with server.connect() as connection:
        for start in range(0, count, 500):
            numbers = range(start, min(start + 500, count))
            checks = [["CL.THROTTLE", f"{number:016}", 100, 1, 86400, 1] for number in numbers]
            connection.sendall(requests(*checks) + END)
            answer = b""
            while not answer.endswith(ENDED):
                answer += connection.recv(1 << 16)
    print(f"| {server.name} | {count} | {(server.resident_bytes() - before) / count:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="+", help="name=command, with {port} and {dir}")
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    print("| server | counters | bytes per counter |")
    print("|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for definition in arguments.servers:
            server = Server(definition, folder)
            try:
                memory(server, int(COUNTERS * arguments.scale))
            finally:
                server.stop()


if __name__ == "__main__":
    main()
