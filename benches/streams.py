#!/usr/bin/env python3
"""Measures durable streams against other servers that speak NATS' protocol, in one run, and prints what the targets are about.

    cargo build --release --bin quartet
    benches/streams.py quartet='target/release/quartet --broker-port {port} --port off --http-port off --dir {dir}' \\
        default='nats-server -a 127.0.0.1 -p {port} -js -sd {dir}' \\
        always='nats-server -a 127.0.0.1 -p {port} -js -sd {dir} -c {always}'

The first server is measured; ratios are to each of the others.  `{always}` is a file with nats-server's setting that syncs
before it acknowledges.  Targets that are about a server of another name are printed if there is a server with the name
`default` or `always`.  Rounds are interleaved, because machines drift; only ratios within one run mean anything.  `--quick`
takes at most six minutes.  Everything is bounded: a lost or refused message ends the run.

`publish`  acknowledged messages of 128 bytes: one publisher; 64 with one in flight each; four with 64; the same on 10,000
           subjects with a message each, again on one subject of the same short run, and of a stream that need not be synced
`replay`   a stream of many messages: a push consumer, eight, a pull consumer without and with acknowledgements
`restart`  `kill -9` with a million messages, and with 1,000 streams of 100 each: the time until the first answer
`memory`   resident bytes of the first server, running, per message of five million, per subject and per message id of 500,000
`filters`  the time in which a consumer with three filters is created on a million messages, and whether its count is exact
"""
import argparse
import json
import os
import resource
import shutil
import signal
import socket
import statistics
import sys
import tempfile
import time

from servers import Server, bench

SIZE = 128
# So many seconds may a server say nothing in a load.
SILENCE = 60
CONNECT = b'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1","protocol":1}\r\n'
RESTART_STREAMS = 1_000
RESTART_STREAM_MESSAGES = 100
FILTER_SUBJECTS = 1_000
# What takes long, or hardly varies, is measured less often.
ROUNDS_MAX = {"restart": 3, "restart-streams": 3, "memory": 1, "filters": 1}
# A server that syncs each message gets a part of the others'.
SLOW = 20


class StreamServer(Server):
    """A server with a folder of its own, which can be killed and started again."""

    def __init__(self, definition, folder, program):
        self.definition, self.folder, self.program = definition, folder, os.path.abspath(program)
        super().__init__(definition, folder)

    def wait_until_up(self):
        end = time.perf_counter() + 60
        while time.perf_counter() < end and self.process.poll() is None:
            try:
                self.connect().close()
                return
            except OSError:
                time.sleep(0.002)
        sys.exit(f"{self.name} did not come up")

    def connect(self):
        stream = socket.create_connection(("127.0.0.1", self.port), 60)
        stream.sendall(CONNECT + b"SUB answer 1\r\nPING\r\n")
        received = b""
        while b"PONG\r\n" not in received:
            part = stream.recv(1 << 16)
            if not part:
                raise OSError("closed")
            received += part
        return stream

    def restart(self):
        """Kills the server and starts it again.  Returns the time at which it was started."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        began = time.perf_counter()
        Server.__init__(self, self.definition, self.folder)
        return began

    def wait_until_idle(self):
        # A server begins to put away what it has found half a second after its start.
        time.sleep(1.5)
        for _ in range(40):
            cpu = self.cpu_seconds()
            time.sleep(0.6)
            if self.cpu_seconds() - cpu < 0.03:
                return

    def load(self, workload, **options):
        """Runs a load of `quartet bench`.  Returns its figures."""
        return bench(self.program, self, workload, timeout=SILENCE, **options)

    def publish(self, subject, publishers, in_flight, messages, subjects=None, has_ids=False):
        return self.load(
            "store", subject=subject, subjects=subjects, connections=publishers, pipeline=in_flight, count=messages, size=SIZE,
            message_ids=has_ids,
        )

    def api(self, subject, body=None):
        with self.connect() as stream:
            return request(stream, subject, body)

    def create(self, stream, subject, **others):
        self.api(f"STREAM.CREATE.{stream}", {"name": stream, "subjects": [subject], **others})

    def stop(self):
        super().stop()
        shutil.rmtree(os.path.join(self.folder, self.name), ignore_errors=True)


def request(stream, subject, body=None):
    """A request of the API, over a connection that is open."""
    text = json.dumps(body).encode() if body else b""
    stream.sendall(b"PUB $JS.API.%s answer %d\r\n%s\r\n" % (subject.encode(), len(text), text))
    received = b""
    while True:
        received += stream.recv(1 << 16)
        if b"PING\r\n" in received:
            stream.sendall(b"PONG\r\n")
            received = received.replace(b"PING\r\n", b"")
        head, _, rest = received.partition(b"\r\n")
        if head.startswith(b"MSG ") and len(rest) >= int(head.rsplit(b" ", 1)[1]) + 2:
            answer = json.loads(rest)
            if "error" in answer:
                sys.exit(f"{subject}: {answer['error']}")
            return answer


class Figures:
    """What was measured, by load and server: of each the medians of its rounds."""

    def __init__(self, names):
        self.names, self.rows = names, {}

    def add(self, load, server, **figures):
        row = self.rows.setdefault(load, {}).setdefault(server.name, {})
        for figure, value in figures.items():
            row.setdefault(figure, []).append(value)
        shown = ", ".join(f"{figure} {value:.4g}" for figure, value in figures.items())
        print(f"{load}: {server.name}: {shown}", file=sys.stderr, flush=True)

    def add_load(self, load, server, figures):
        latency = figures["latency_ms"] or {}
        waits = {f"{name}_micros": latency[name] * 1e3 for name in ("p50", "p99") if name in latency}
        self.add(load, server, rate=figures["operations_per_second"], cpu=figures["server_cpu_micros"], **waits)

    def median(self, load, name, figure):
        values = self.rows.get(load, {}).get(name, {}).get(figure)
        return statistics.median(values) if values else None

    def ratio(self, load, figure, peer, peer_load=None):
        own, other = self.median(load, self.names[0], figure), self.median(peer_load or load, peer, figure)
        return own / other if own is not None and other else None


def publish(server, figures, scale):
    server.create("S", "s.>")
    server.create("A", "a.>", **({"persist_mode": "async"} if server.name == figures.names[0] else {}))
    server.publish("s.warm", 4, 16, 2_000)
    loads = [
        ("one publisher", "s.one", 1, 1, 3_000, None),
        ("64 publishers, one in flight each", "s.many", 64, 1, 40_000, None),
        ("four publishers, 64 in flight each", "s.four", 4, 64, 100_000, None),
        ("four publishers, not synced", "a.four", 4, 64, 100_000, None),
        ("10,000 messages on one subject", "s.same", 4, 64, 10_000, None),
        ("10,000 messages on 10,000 subjects", "s.each", 4, 64, 10_000, 10_000),
    ]
    for name, subject, publishers, in_flight, most, subjects in loads:
        if server.name == "always":
            if subject not in ("s.one", "s.many", "s.four"):
                continue
            most //= SLOW
        # The short ones last for a message per subject, whatever the scale.
        messages = most if most == 10_000 else max(int(most * scale), publishers * in_flight)
        figures.add_load(name, server, server.publish(subject, publishers, in_flight, messages, subjects))


def replay(server, figures, scale):
    messages = int(500_000 * scale)
    server.create("R", "r.>")
    figures.add_load("four publishers, 256 in flight each", server, server.publish("r.fill", 4, 256, messages))
    loads = [
        # Eight read a part of the stream, which takes long enough.
        ("push, 1 consumer", 1, dict(push=True)),
        ("push, 8 consumers", 4, dict(push=True, consumers=8)),
        ("pull", 1, dict(batch=500)),
        ("pull with acknowledgements", 2, dict(batch=500, acknowledge=True)),
    ]
    for name, part, options in loads:
        figures.add_load(name, server, server.load("replay", stream="R", count=messages // part, **options))


def restart(server, figures, scale):
    messages = int(1_000_000 * scale)
    server.create("R", "r.>")
    server.publish("r.fill", 4, 256, messages)
    began = server.restart()
    check(server.api("STREAM.INFO.R")["state"]["messages"], messages, server)
    name = "restart with one stream" if scale == 1 else f"restart with {messages:,} messages"
    figures.add(name, server, milliseconds=(time.perf_counter() - began) * 1e3, cpu_milliseconds=server.cpu_seconds() * 1e3)
    server.api("STREAM.DELETE.R")


def restart_streams(server, figures, scale):
    streams = int(RESTART_STREAMS * scale)
    with server.connect() as connection:
        for number in range(streams):
            request(connection, f"STREAM.CREATE.M{number}", {"name": f"M{number}", "subjects": [f"m.{number}"]})
    server.publish("m", 4, 64, streams * RESTART_STREAM_MESSAGES, streams)
    began = server.restart()
    check(server.api(f"STREAM.INFO.M{streams - 1}")["state"]["messages"], RESTART_STREAM_MESSAGES, server)
    spent = (time.perf_counter() - began) * 1e3
    figures.add(f"restart with {streams:,} streams", server, milliseconds=spent, cpu_milliseconds=server.cpu_seconds() * 1e3)
    with server.connect() as connection:
        for number in range(streams):
            found = request(connection, f"STREAM.INFO.M{number}")["state"]["messages"]
            check(found, RESTART_STREAM_MESSAGES, server)


def settled_bytes(server):
    """Resident bytes of a running server that has put away what it has stored, and the memory that it needed for that."""
    for _ in range(2):
        server.restart()
        server.wait_until_idle()
    return server.resident_bytes()


def memory(server, figures, scale):
    messages = int(5_000_000 * scale)
    server.create("R", "r.>", duplicate_window=3_600_000_000_000)
    server.publish("r.fill", 4, 256, 1_000)
    bytes_before = settled_bytes(server)
    counted = int(500_000 * scale)
    loads = [
        ("message", messages, dict()),
        ("subject", counted, dict(subjects=counted)),
        ("id", counted, dict(has_ids=True)),
    ]
    for what, count, facts in loads:
        server.publish("r.subject" if what == "subject" else "r.fill", 4, 256, count, **facts)
        if what == "message":
            running = (server.resident_bytes() - bytes_before) / count
            figures.add("memory while messages are still in the journal", server, bytes_per_message=running)
        bytes_after = settled_bytes(server)
        figures.add("memory", server, **{f"bytes_per_{what}": (bytes_after - bytes_before) / count})
        bytes_before = bytes_after


def filters(server, figures, scale):
    messages = int(1_000_000 * scale)
    server.create("R", "r.>")
    server.publish("r.fill", 4, 256, messages, FILTER_SUBJECTS)
    wanted = ["r.fill.1", "r.fill.500", "r.fill.999"]
    with server.connect() as stream:
        for number in range(5):
            config = {"durable_name": f"f{number}", "ack_policy": "explicit", "filter_subjects": wanted}
            began = time.perf_counter()
            answer = request(stream, f"CONSUMER.CREATE.R.f{number}", {"stream_name": "R", "config": config})
            spent = time.perf_counter() - began
            check(answer["num_pending"], len(wanted) * messages // FILTER_SUBJECTS, server)
            figures.add("consumer with three filters", server, milliseconds=spent * 1e3)


def check(found, expected, server):
    if found != expected:
        sys.exit(f"{server.name} has {found} messages and not {expected}")


# Each target: its words, the figure in this run, and whether that meets it.
def targets(figures):
    def own(load, figure, most):
        value = figures.median(load, figures.names[0], figure)
        return value, value is not None and value <= most

    def most(load, figure, peer, bound, peer_load=None):
        value = figures.ratio(load, figure, peer, peer_load)
        return value, value is not None and value <= bound

    def least(load, figure, peer, bound, peer_load=None):
        value = figures.ratio(load, figure, peer, peer_load)
        return value, value is not None and value >= bound

    many, four = "64 publishers, one in flight each", "four publishers, 64 in flight each"
    acknowledged = "pull with acknowledgements"
    each, same = "10,000 messages on 10,000 subjects", "10,000 messages on one subject"
    streams = f"restart with {RESTART_STREAMS:,} streams"
    return [
        ("64 × 1 in flight: rate ≥ 1.5 × default", least(many, "rate", "default", 1.5)),
        ("64 × 1 in flight: rate ≥ 10 × always", least(many, "rate", "always", 10)),
        ("4 × 64 in flight: rate ≥ 1.0 × default", least(four, "rate", "default", 1)),
        ("4 × 64 in flight: CPU ≤ 0.6 × default", most(four, "cpu", "default", 0.6)),
        ("4 × 64 in flight: rate ≥ 25 × always", least(four, "rate", "always", 25)),
        ("one publisher: rate ≥ 1.3 × always", least("one publisher", "rate", "always", 1.3)),
        ("async: CPU ≤ 0.5 × default", most("four publishers, not synced", "cpu", "default", 0.5)),
        ("10,000 subjects: rate ≥ 0.7 × one subject", least(each, "rate", figures.names[0], 0.7, same)),
        ("replay, push: rate ≥ 1.5 × default", least("push, 1 consumer", "rate", "default", 1.5)),
        ("replay, pull: rate ≥ 2 × default", least("pull", "rate", "default", 2)),
        ("replay, pull with acknowledgements: rate ≥ 2 × default", least(acknowledged, "rate", "default", 2)),
        ("replay, pull with acknowledgements: CPU ≤ 0.6 × default", most(acknowledged, "cpu", "default", 0.6)),
        ("bytes per message ≤ 1", own("memory", "bytes_per_message", 1)),
        ("bytes per subject ≤ 100", own("memory", "bytes_per_subject", 100)),
        ("bytes per message id ≤ 24", own("memory", "bytes_per_id", 24)),
        ("restart, one stream: time ≤ 0.5 × default", most("restart with one stream", "milliseconds", "default", 0.5)),
        ("restart, 1,000 streams: time ≤ 0.3 × default", most(streams, "milliseconds", "default", 0.3)),
        ("consumer with three filters: ≤ 20 ms", own("consumer with three filters", "milliseconds", 20)),
    ]


def report(figures):
    print("| load | server | figure | value | " + " | ".join(f"of {name}" for name in figures.names[1:]) + " |")
    print("|---" * (4 + len(figures.names[1:])) + "|")
    for load, servers in figures.rows.items():
        for name, row in servers.items():
            for figure in row:
                peers = figures.names[1:]
                ratios = [figures.ratio(load, figure, peer) if name == figures.names[0] else None for peer in peers]
                cells = ["" if ratio is None else f"{ratio:.2f}" for ratio in ratios]
                value = f"{figures.median(load, name, figure):.4g}"
                print("| " + " | ".join([load, name, figure.replace("_", " "), value, *cells]) + " |")
    print("\n| target | figure | |\n|---|---|---|")
    for words, (value, is_met) in targets(figures):
        if value is not None:
            print(f"| {words} | {value:.2f} | {'met' if is_met else '**missed**'} |")


def main():
    loads = {load.__name__.replace("_", "-"): load for load in (publish, replay, restart, restart_streams, memory, filters)}
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(loads), help=", ".join(loads))
    parser.add_argument("--rounds", type=int, help="of `publish` and `replay`; the others have fewer")
    parser.add_argument("--scale", type=float, default=1.0, help="how many messages, of the usual number")
    parser.add_argument("--quick", action="store_true", help="fewer rounds")
    parser.add_argument("--bench", default="target/release/quartet", help="the program with the subcommand `bench`")
    parser.add_argument("servers", nargs="+")
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 7)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    figures = Figures([definition.split("=", 1)[0] for definition in options.servers])
    with tempfile.TemporaryDirectory() as folder:
        always = os.path.join(folder, "always.conf")
        with open(always, "w") as config:
            config.write("jetstream { sync_interval: always }\n")
        for name in options.only:
            for _ in range(min(rounds, ROUNDS_MAX.get(name, rounds))):
                for definition in options.servers:
                    is_skipped = definition.startswith("always=") and name != "publish"
                    # Its targets are about one server, and it takes long.
                    is_skipped |= name == "memory" and definition != options.servers[0]
                    if is_skipped:
                        continue
                    server = StreamServer(definition.replace("{always}", always), folder, options.bench)
                    try:
                        loads[name](server, figures, options.scale)
                    finally:
                        server.stop()
    report(figures)


if __name__ == "__main__":
    main()
