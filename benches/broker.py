#!/usr/bin/env python3
"""Measures the broker's door against other servers that speak the NATS client protocol, in one run, and prints ratios.

    benches/broker.py churn    quartet='target/release/quartet --broker-port {port} --port off --http-port off' nats='nats-server -a 127.0.0.1 -p {port}'
    benches/broker.py stalled  ...
    benches/broker.py idle     ...
    benches/broker.py inboxes  ...
    benches/broker.py memory   quartet=...

Ratios are to each server named after the first one.  Rounds are interleaved, because machines drift; only ratios within one
run mean anything.  Fan-out and requests are measured by `quartet bench`.  All servers listen on loopback, every load is
bounded, and a lost message ends the run.

`churn`    one publisher of 16-byte messages and one subscriber beside 10,000 wildcard subscriptions, without and with a SUB and
           UNSUB per 20 messages: deliveries per second and server CPU per delivery
`stalled`  eight subscribers, without and with one that stops reading: the rate of the other seven
`idle`     resident bytes per connection that does nothing
`inboxes`  as many subscriptions as `--count` says to one subject, one connection each, and twice as many: the time until all
           are gone after they were cut off at once
`memory`   1,000 readers that stopped reading, and messages of 1 MiB: resident memory of the server, all stalled together and
           one after the other
"""
import argparse
import multiprocessing
import os
import resource
import socket
import statistics
import sys
import tempfile
import time

from servers import Server

SIZE = 16
SUBJECT = b"bench.subject"
CHUNK = 1_000
CHURN_PATTERNS = 10_000
CHURN_EVERY = 20
IDLE_CONNECTIONS = 10_000
STALLED_READERS = 1_000
STALLED_MESSAGES = 400
RECEIVE = 1 << 20


class BrokerServer(Server):
    def wait_until_up(self):
        for _ in range(400):
            try:
                self.connect().close()
                return
            except OSError:
                time.sleep(0.025)
        sys.exit(f"{self.name} did not come up")

    def connect(self, receive_buffer=None):
        stream = socket.socket()
        if receive_buffer:
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        stream.settimeout(60)
        stream.connect(("127.0.0.1", self.port))
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        read_until(stream, b"\r\n")
        stream.sendall(b'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1","protocol":1}\r\n')
        settle(stream)
        return stream

    def cpu_seconds(self):
        """From the scheduler's own clock, which counts nanoseconds, over all threads."""
        total = 0
        for thread in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{thread}/schedstat") as figures:
                total += int(figures.read().split()[0])
        return total / 1e9


def read_until(stream, end):
    received = b""
    while end not in received:
        part = stream.recv(RECEIVE)
        if not part:
            sys.exit("a server closed a connection")
        received += part
    return received


def settle(stream):
    """Waits until the server has taken everything that was sent before."""
    stream.sendall(b"PING\r\n")
    read_until(stream, b"PONG\r\n")


def subscriber(server, count, ready, done, is_stalled=False):
    stream = server.connect()
    stream.sendall(b"SUB %s 1\r\n" % SUBJECT)
    settle(stream)
    ready.release()
    if is_stalled:
        # It holds the connection and reads nothing until the others are done.
        done.get()
        return
    expected = count * (len(b"MSG %s 1 %d\r\n" % (SUBJECT, SIZE)) + SIZE + 2)
    received, buffer = 0, bytearray(RECEIVE)
    while received < expected:
        length = stream.recv_into(buffer)
        if length == 0:
            break
        if length < 64 and buffer.startswith(b"PING"):
            stream.sendall(b"PONG\r\n")
            continue
        received += length
    done.put(received >= expected)


def publish_to(server, count, subscribers, extra=b""):
    """Seconds and CPU seconds until every subscriber has all messages.  `extra` is sent after every 20th message."""
    ready, done = multiprocessing.Semaphore(0), multiprocessing.Queue()
    processes = [
        multiprocessing.Process(target=subscriber, args=(server, count, ready, done)) for _ in range(subscribers)
    ]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    stream = server.connect()
    one = b"PUB %s %d\r\n%s\r\n" % (SUBJECT, SIZE, b"x" * SIZE)
    chunk = (one * CHURN_EVERY + extra) * (CHUNK // CHURN_EVERY)
    cpu, began = server.cpu_seconds(), time.perf_counter()
    for _ in range(count // CHUNK):
        stream.sendall(chunk)
    stream.sendall(b"PING\r\n")
    if not all(done.get(timeout=120) for _ in processes):
        sys.exit(f"{server.name} lost messages")
    seconds = time.perf_counter() - began
    for process in processes:
        process.join()
    cpu = server.cpu_seconds() - cpu
    stream.close()
    return seconds, cpu


def table(headings, rows):
    print("| " + " | ".join(headings) + " |")
    print("|" + "---|" * len(headings))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def against(figures, key, names, own, column):
    """The ratios of the first server's median to each other's."""
    def median(name):
        return statistics.median(row[column] for row in figures[(key, name)])
    return ", ".join(f"{median(own) / median(name):.2f} of {name}" for name in names if name != own) or "-"


def compare(figures, keys, servers, label, scale, unit):
    names = [server.name for server in servers]
    rows = []
    for key in keys:
        for name in names:
            rate, cost = (statistics.median(column) for column in zip(*figures[(key, name)]))
            ratios = [against(figures, key, names, name, column) for column in (0, 1)] if name == names[0] else ["", ""]
            rows.append((label(key), name, f"{rate:.0f}", ratios[0], f"{cost * scale:.3f}", ratios[1]))
    table(("load", "server", "deliveries/s", "ratio", unit, "ratio"), rows)


def churn(servers, options):
    figures = {}
    holders = []
    for server in servers:
        holder = server.connect()
        lines = (b"SUB idle.%d.* %d\r\n" % (number, number + 1) for number in range(CHURN_PATTERNS))
        holder.sendall(b"".join(lines))
        settle(holder)
        holders.append(holder)
    count = options.messages // 2 // CHUNK * CHUNK
    for _ in range(options.rounds):
        for extra in (b"", b"SUB idle.churn.> 9\r\nUNSUB 9\r\n"):
            for server in servers:
                seconds, cpu = publish_to(server, count, 1, extra)
                figures.setdefault((bool(extra), server.name), []).append((count / seconds, cpu / count))
    compare(figures, (False, True), servers, lambda key: "with churn" if key else "without", 1e6, "CPU µs/delivery")


def stalled(servers, options):
    figures = {}
    count = options.messages // 8 // CHUNK * CHUNK
    for _ in range(options.rounds):
        for server in servers:
            for is_stalled in (False, True):
                ready, done = multiprocessing.Semaphore(0), multiprocessing.Queue()
                end = multiprocessing.Queue()
                processes = [
                    multiprocessing.Process(target=subscriber, args=(server, count, ready, done)) for _ in range(7)
                ]
                eighth = (server, count, ready, end, True) if is_stalled else (server, count, ready, done)
                processes.append(multiprocessing.Process(target=subscriber, args=eighth))
                for process in processes:
                    process.start()
                for _ in processes:
                    ready.acquire()
                stream = server.connect()
                chunk = b"PUB %s %d\r\n%s\r\n" % (SUBJECT, SIZE, b"x" * SIZE) * CHUNK
                began = time.perf_counter()
                for _ in range(count // CHUNK):
                    stream.sendall(chunk)
                if not all(done.get(timeout=120) for _ in range(7)):
                    sys.exit(f"{server.name} lost messages")
                figures.setdefault((server.name, is_stalled), []).append(count / (time.perf_counter() - began))
                end.put(None)
                for process in processes:
                    process.join()
                stream.close()
    rows = []
    for server in servers:
        whole, seven = (statistics.median(figures[(server.name, case)]) for case in (False, True))
        rows.append((server.name, f"{whole:.0f}", f"{seven:.0f}", f"{seven / whole:.2f}"))
    table(("server", "messages/s to each of eight", "to each of seven, the eighth stalled", "ratio"), rows)


def idle(servers, options):
    rows = []
    for server in servers:
        warm = [server.connect() for _ in range(100)]
        time.sleep(1)
        before, connections = server.resident_bytes(), []
        for _ in range(IDLE_CONNECTIONS):
            connections.append(server.connect())
        time.sleep(1)
        each = (server.resident_bytes() - before) / IDLE_CONNECTIONS
        began = server.cpu_seconds()
        time.sleep(5)
        rows.append((server.name, f"{each:.0f}", f"{(server.cpu_seconds() - began) / 5 * 100:.2f} %"))
        for connection in connections + warm:
            connection.close()
    table(("server", "bytes per idle connection", "CPU while idle"), rows)


def inboxes(servers, options):
    rows = []
    for server in servers:
        for count in (options.count, 2 * options.count):
            connections = [server.connect() for _ in range(count)]
            for connection in connections:
                connection.sendall(b"SUB %s 1\r\n" % SUBJECT)
            for connection in connections:
                settle(connection)
            publisher = server.connect()
            publisher.sendall(b"PUB %s 2\r\nhi\r\n" % SUBJECT)
            for connection in connections:
                read_until(connection, b"hi\r\n")
            cpu, began = server.cpu_seconds(), time.perf_counter()
            for connection in connections:
                connection.close()
            # A request without a responder is answered once nobody is subscribed any more.
            publisher.sendall(b'CONNECT {"verbose":false,"headers":true,"no_responders":true}\r\nSUB gone 1\r\n')
            while True:
                publisher.sendall(b"PUB %s gone 0\r\n\r\nPING\r\n" % SUBJECT)
                if b"503" in read_until(publisher, b"PONG\r\n"):
                    break
                time.sleep(0.005)
            rows.append((server.name, str(count), f"{time.perf_counter() - began:.3f}", f"{server.cpu_seconds() - cpu:.3f}"))
            publisher.close()
    table(("server", "inboxes", "seconds until all are gone", "server CPU seconds"), rows)


def memory(servers, options):
    rows = []
    payload = b"PUB %s %d\r\n%s\r\n" % (SUBJECT, 1 << 20, b"x" * (1 << 20))
    for server in servers:
        for together in (True, False):
            readers, publisher, highest = [], server.connect(), 0
            before = server.resident_bytes()
            step = STALLED_READERS if together else 10
            for number in range(STALLED_MESSAGES):
                while len(readers) < min(STALLED_READERS, step * (number + 1)):
                    reader = server.connect(receive_buffer=4096)
                    reader.sendall(b"SUB %s 1\r\n" % SUBJECT)
                    settle(reader)
                    readers.append(reader)
                publisher.sendall(payload)
                highest = max(highest, server.resident_bytes())
            settle(publisher)
            highest = max(highest, server.resident_bytes())
            case = "stalled together" if together else "one after the other"
            rows.append((server.name, case, f"{before / 2**20:.0f}", f"{highest / 2**20:.0f}"))
            for reader in readers:
                reader.close()
            publisher.close()
            time.sleep(2)
    table(("server", "readers", "MiB before", "MiB at most"), rows)


def main():
    loads = {load.__name__.replace("_", "-"): load for load in (churn, stalled, idle, inboxes, memory)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("load", choices=loads)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--messages", type=int, default=2_000_000, help="deliveries of a round")
    parser.add_argument("--count", type=int, default=10_000, help="inboxes")
    parser.add_argument("servers", nargs="+")
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        servers = [BrokerServer(definition, folder) for definition in options.servers]
        try:
            loads[options.load](servers, options)
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
