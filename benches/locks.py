#!/usr/bin/env python3
"""Measures locks side by side in one run and prints ratios.

    benches/locks.py durable  quartet='target/release/quartet --port {port} --http-port off --dir {dir}'
    benches/locks.py handoff  quartet=... redis='redis-server --port {port} --save ""'
    benches/locks.py memory   quartet-1=... quartet-2=... quartet-3=... quartet-4=...   (a fresh server for each shape)

What a pair takes without a disk is measured by `quartet bench lock`.  `durable` compares acquisitions and releases that are on
the disk before they are answered, by 64 clients, with etcd-server (Debian) on the same disk, through its lock API over its JSON
gateway and over gRPC, with a connection for each client and with one for all.  Quartet is driven by `quartet bench lock` and etcd by
`examples/etcd_load.rs`, to be built before, since a load in Python would be the limit.  `handoff` has 64 clients want one key and takes the time from the
release to the next holder's answer; the others use redis-py's Lock, which polls.  All servers listen on loopback.
"""
import argparse
import base64
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from servers import HeldPort, Load, Server, bench, no_error, requests

DURABLE_CLIENTS = 64
WAITERS = 64
END = requests(["PING"])
ENDED = b"+PONG\r\n"


def is_quartet(server):
    return server.name.startswith("quartet")


class Etcd:
    """etcd-server with its data in `folder`."""

    def __init__(self, folder):
        self.held = HeldPort(), HeldPort()
        self.port = self.held[0].number
        url, peer = (f"http://127.0.0.1:{port.number}" for port in self.held)
        command = ["etcd", "--data-dir", os.path.join(folder, "etcd"), "--listen-client-urls", url]
        command += ["--advertise-client-urls", url, "--listen-peer-urls", peer]
        command += ["--initial-advertise-peer-urls", peer, "--initial-cluster", f"default={peer}"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(400):
            try:
                self.call("/v3/maintenance/status", {})
                return
            except OSError:
                time.sleep(0.025)
        sys.exit("etcd did not come up")

    def call(self, path, body):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def stop(self):
        self.process.terminate()
        self.process.wait()


def varint(number):
    rest, low = number >> 7, number & 127
    return bytes([low]) if rest == 0 else bytes([low | 128]) + varint(rest)


def field(number, value):
    """A field of a protocol buffer: bytes or a number."""
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def etcd_pair(protocol, name, lease):
    # The key is what etcd makes of the lock's name and the lease.
    name, key = name.encode(), f"{name}/{lease:x}".encode()
    if protocol == "grpc":
        # LockRequest and UnlockRequest of v3lock.proto.
        return [("/v3lockpb.Lock/Lock", field(1, name) + field(2, lease)), ("/v3lockpb.Lock/Unlock", field(1, key))]
    acquire = {"name": base64.b64encode(name).decode(), "lease": lease}
    release = {"key": base64.b64encode(key).decode()}
    return [("/v3/lock/lock", json.dumps(acquire).encode()), ("/v3/lock/unlock", json.dumps(release).encode())]


def etcd_pairs_per_second(etcd, protocol, connections, count):
    """Each client acquires and releases `count` times."""
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(os.path.dirname(__file__), "../target"))
    command = os.path.join(target, "release/examples/etcd_load")
    if not os.path.exists(command):
        sys.exit("first: cargo build --release --example etcd_load")

    def client(number):
        lease = int(etcd.call("/v3/lease/grant", {"TTL": 600})["ID"])
        return [(path, list(body)) for path, body in etcd_pair(protocol, f"lock-{number}", lease)]

    clients = [client(number) for number in range(DURABLE_CLIENTS)]
    load = {"port": etcd.port, "protocol": protocol, "connections": connections, "turns": count, "clients": clients}
    done = subprocess.run(command, input=json.dumps(load), stdout=subprocess.PIPE, text=True, check=True)
    return len(clients) * count / float(done.stdout)


def quartet_pairs_per_second(program, server, count, connections=DURABLE_CLIENTS):
    """The same by as many clients, each on a lock that no other wants meanwhile."""
    clients = {"connections": connections, "pipeline": DURABLE_CLIENTS // connections}
    run = bench(program, server, "lock", count=count * DURABLE_CLIENTS, distribution="sequential", **clients)
    return run["operations_per_second"]


# How many connections the clients share, with what etcd offers there.
ARRANGEMENTS = [(DURABLE_CLIENTS, ["http", "grpc"]), (1, ["grpc"])]


def durable(servers, rounds, scale, program):
    with tempfile.TemporaryDirectory(dir=".") as folder:
        etcd = Etcd(folder)
        figures = {}
        try:
            for connections, protocols in ARRANGEMENTS * rounds:
                for protocol in protocols:
                    rate = etcd_pairs_per_second(etcd, protocol, connections, max(1, int(100 * scale)))
                    figures.setdefault((connections, f"etcd, {protocol}"), []).append(rate)
                for server in servers:
                    rate = quartet_pairs_per_second(program, server, max(1, int(1000 * scale)), connections)
                    figures.setdefault((connections, server.name), []).append(rate)
        finally:
            etcd.stop()
    print("| connections | server | pairs/s on disk | times etcd over http, grpc |")
    print("|---|---|---|---|")
    for (connections, name), rates in figures.items():
        rate = statistics.median(rates)
        bases = [figures.get((connections, f"etcd, {protocol}")) for protocol in ("http", "grpc")]
        times = ", ".join(f"{rate / statistics.median(base):.1f}" if base else "-" for base in bases)
        print(f"| {connections} | {name} | {rate:.0f} | {times} |")


def quartet_handoff(server, rounds):
    """Each of 64 clients takes the key in turn; milliseconds from each release to the next holder's answer."""
    released = {"at": None}
    delays = []
    left = [2 * rounds] * WAITERS

    def next_request(number):
        if left[number] == 0:
            return None
        left[number] -= 1
        if left[number] % 2:
            return requests(["LOCK.ACQUIRE", "hot", f"owner-{number}", "TTL", 30000, "WAIT", 60000])
        released["at"] = time.perf_counter()
        return requests(["LOCK.RELEASE", "hot", f"owner-{number}"])

    def check(answer):
        no_error(answer)
        if answer.startswith((b"*", b"%")) and released["at"] is not None:
            delays.append((time.perf_counter() - released["at"]) * 1000)
            released["at"] = None

    # A grant is an array of known fields; a release's answer is one line.
    whole = lambda answer: answer.endswith(b"\r\n") and (not answer.startswith(b"*") or answer.count(b"\r\n") > 4)
    load = Load(("127.0.0.1", server.port), WAITERS, next_request, whole, check)
    load.run()
    load.close()
    return delays


def polling_handoff(server, rounds):
    """The same with redis-py's Lock."""
    import redis

    released, delays, guard = {"at": None}, [], threading.Lock()

    def take():
        client = redis.Redis(port=server.port)
        for _ in range(rounds):
            lock = client.lock("hot", timeout=30)
            lock.acquire()
            with guard:
                if released["at"] is not None:
                    delays.append((time.perf_counter() - released["at"]) * 1000)
                released["at"] = time.perf_counter()
            lock.release()

    threads = [threading.Thread(target=take) for _ in range(WAITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return delays


def handoff(servers, rounds, scale, program):
    print("| server | hand-offs | p50 ms | p99 ms |")
    print("|---|---|---|---|")
    for server in servers:
        count = max(1, int(rounds * 20 * scale))
        delays = quartet_handoff(server, count) if is_quartet(server) else polling_handoff(server, max(1, int(rounds * scale)))
        delays.sort()
        print(f"| {server.name} | {len(delays)} | {delays[len(delays) // 2]:.3f} | {delays[int(len(delays) * 0.99)]:.3f} |")


LEASES = 200_000
SHAPES = {
    "a lease of each owner": lambda n: [["LOCK.ACQUIRE", f"resource-{n:012}", f"owner-{n:012}", "TTL", 600000]],
    "the same, with an id": lambda n: [
        ["LOCK.ACQUIRE", f"resource-{n:012}", f"owner-{n:012}", "TTL", 600000, "REQID", f"id{n}"]
    ],
    "many leases of one owner": lambda n: [["LOCK.ACQUIRE", f"resource-{n:012}", "owner", "TTL", 600000]],
    "many owners that share": lambda n: [["LOCK.ACQUIRE", "resource", f"owner-{n:012}", "TTL", 600000, "SHARED"]],
}


def send_all(connection, commands, count):
    """Sends commands in batches and waits for all replies of each, which END closes."""
    for start in range(0, count, 500):
        batch = [command for n in range(start, min(start + 500, count)) for command in commands(n)]
        connection.sendall(requests(*batch) + END)
        tail = b""
        while not tail.endswith(ENDED):
            tail = (tail + connection.recv(1 << 20))[-len(ENDED):]


def memory(servers, rounds, scale, program):
    """Resident bytes for each lease, and those that are left once all have gone.  One server for each row, since each
    row is measured from where the one before it has left the memory."""
    count = int(LEASES * scale)
    print("| server | leases | bytes each | left over |")
    print("|---|---|---|---|")
    for server, (shape, commands) in zip(servers * len(SHAPES), SHAPES.items()):
        before = server.resident_bytes()
        with server.connect() as connection:
            send_all(connection, commands, count)
            time.sleep(1)
            each = (server.resident_bytes() - before) / count
            send_all(connection, lambda n: [["LOCK.RELEASE", *commands(n)[0][1:3]]], count)
        time.sleep(1)
        print(f"| {server.name} | {shape} | {each:.0f} | {(server.resident_bytes() - before) / count:.0f} |")


MEASUREMENTS = {"durable": durable, "handoff": handoff, "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurement", choices=MEASUREMENTS)
    parser.add_argument("servers", nargs="+", help="name=command, with {port} and {dir}; Quartet's name begins with quartet")
    parser.add_argument("--bench", default="target/release/quartet", help="the program with the subcommand `bench`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    # Below the working directory, so that the disk is a real one.
    with tempfile.TemporaryDirectory(dir=".") as folder:
        servers = []
        try:
            for definition in arguments.servers:
                servers.append(Server(definition, folder))
            MEASUREMENTS[arguments.measurement](servers, arguments.rounds, arguments.scale, arguments.bench)
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
