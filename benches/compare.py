#!/usr/bin/env python3
"""Measures what Quartet and other RESP servers keep in memory, and when they give it back.  Speed is measured by `quartet bench`.

    benches/compare.py memory quartet='target/release/quartet --port {port} --http-port off' valkey='valkey-server --port {port} --save ""'
    benches/compare.py idle   ...
    benches/compare.py expiry quartet=...

`memory` counts resident bytes per key over the payload, averaged over several key counts, since a table that
doubles makes one count meaningless; `idle` opens 10,000 connections; `expiry` lets 100,000 keys a second fall due among a
million volatile ones and watches when their memory is given back.  All servers listen on loopback and are stopped at the end.
"""
import argparse
import resource
import statistics
import tempfile
import time

from servers import Server

KEY_COUNTS = (1_000_000, 1_250_000, 1_500_000, 1_750_000)
IDLE_CONNECTIONS = 10_000
EXPIRY_KEYS = 1_000_000
EXPIRY_SECONDS = 10


def send_lines(server, lines):
    """Sends inline commands that are each answered by +OK."""
    with server.connect() as connection:
        for start in range(0, len(lines), 512):
            block = lines[start:start + 512]
            connection.sendall(b"\r\n".join(block) + b"\r\n")
            wanted = 5 * len(block)
            while wanted > 0:
                wanted -= len(connection.recv(1 << 16))


def fill(server, count, ttl):
    deadline = (lambda n: b" EX %d" % (100_000 + n % 50_000)) if ttl else (lambda n: b"")
    for start in range(0, count, 100_000):
        numbers = range(start, min(start + 100_000, count))
        send_lines(server, [b"SET key:%012d %016d" % (n, n) + deadline(n) for n in numbers])


def memory(definitions, folder):
    print("| server | TTL | bytes per key over payload, by key count | average |")
    print("|---|---|---|---|")
    for definition in definitions:
        for ttl in (False, True):
            overheads = []
            for count in KEY_COUNTS:
                server = Server(definition, folder)
                try:
                    fill(server, 1, ttl)
                    before = server.resident_bytes()
                    fill(server, count, ttl)
                    time.sleep(1)
                    overheads.append((server.resident_bytes() - before) / count - (40 if ttl else 32))
                finally:
                    server.stop()
            shown = " ".join(f"{overhead:.1f}" for overhead in overheads)
            words = (server.name, "yes" if ttl else "no", shown, f"{statistics.mean(overheads):.1f}")
            print("| " + " | ".join(words) + " |", flush=True)


def idle(servers):
    resource.setrlimit(resource.RLIMIT_NOFILE, (IDLE_CONNECTIONS + 1000,) * 2)
    for server in servers:
        before = server.resident_bytes()
        # A hundred fewer than the usual `maxclients`, which the server's own check would refuse.
        connections = [server.connect() for _ in range(IDLE_CONNECTIONS - 100)]
        for connection in connections:
            connection.sendall(b"PING\r\n")
        for connection in connections:
            connection.recv(64)
        grown = (server.resident_bytes() - before) / len(connections)
        print(f"{server.name}: {grown:.0f} bytes of resident memory per idle connection ({len(connections)} open)")
        for connection in connections:
            connection.close()


def ask(connection, *words):
    connection.sendall(b" ".join(words) + b"\r\n")
    reply = connection.recv(1 << 16)
    while not reply.endswith(b"\r\n"):
        reply += connection.recv(1 << 16)
    return reply


def expiry(servers):
    for server in servers:
        start = time.time() + 30
        per_second = EXPIRY_KEYS // EXPIRY_SECONDS
        lines = [b"SET key:%012d %016d PXAT %d" % (n, n, (start + n / per_second) * 1000) for n in range(EXPIRY_KEYS)]
        send_lines(server, lines)
        worst = 0.0
        with server.connect() as connection:
            while time.time() < start + EXPIRY_SECONDS + 1:
                asked = time.time()
                left = int(ask(connection, b"DBSIZE").strip(b":\r\n"))
                due = min(max(asked - start, 0) * per_second, EXPIRY_KEYS)
                worst = max(worst, (left - (EXPIRY_KEYS - due)) / per_second)
                time.sleep(0.01)
            info = ask(connection, b"INFO", b"stats").decode()
        reported = [line for line in info.splitlines() if "lag" in line]
        print(f"{server.name}: keys that had expired were still counted for at most {worst * 1000:.0f} ms; {reported}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["memory", "idle", "expiry"])
    parser.add_argument("servers", nargs="+", metavar="name=command")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.what == "memory":
            return memory(options.servers, folder)
        servers = [Server(definition, folder) for definition in options.servers]
        try:
            {"idle": idle, "expiry": expiry}[options.what](servers)
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
