#!/usr/bin/env python3
"""Measures hashes, lists, sets and sorted sets against other RESP servers in one run and prints each figure beside its target.

    cargo build --release --bin quartet
    benches/data_types.py quartet='target/release/quartet --port {port} --http-port off --dir ""' \\
        redis='redis-server --port {port} --save ""' valkey='valkey-server --port {port} --save ""'

The first server is measured; ratios are to the last one, which the targets are about.  `--only` takes some of the parts:

`memory`    resident bytes per key of small forms (ten parts) and per part of large ones (1,000 parts in each of many keys, and
            a million in one), on servers that are started for each data set; small forms at two counts of keys, since a table
            of keys that doubles makes one count meaningless
`requests`  the server's CPU per request in pipelines of 16 from 50 connections (`quartet bench command`)
`filled`    the same of commands that take from keys which do not run empty, and of LRANGE 100 to 600
`big`       CPU per request of reads of keys with 100,000 and a million parts

Rounds are interleaved and their order is turned round each time, because machines drift; a ratio is the median of those of the
rounds, and only ratios within one run mean anything.  `--scale` times the number of requests, of keys and of parts.
"""
import argparse
import statistics
import sys
import tempfile
import time

from servers import Server, bench, no_error, requests

SMALL_KEYS = (160_000, 240_000)
LARGE_KEYS = 400
LARGE_PARTS = 1_000
HUGE_PARTS = 1_000_000
BIG_PARTS = 100_000
BATCH = 500

# What the targets of each measured figure are: at most this part of the last server's.
SMALL, LARGE, LARGE_SORTED_SET = 0.85, 0.8, 0.6


def words_of(kind, key, numbers):
    """One command that adds parts with these numbers to a key."""
    if kind == "hash":
        return [b"HSET", key, *(word for n in numbers for word in (b"fld:%012d" % n, b"val:%012d" % n))]
    if kind == "small hash":
        return [b"HSET", key, *(word for n in numbers for word in (b"field%d" % (n % 10), b"%08d" % n))]
    if kind == "list":
        return [b"RPUSH", key, *(b"elm:%012d" % n for n in numbers)]
    if kind == "list of numbers":
        return [b"RPUSH", key, *(b"%d" % (1_000_000 + n) for n in numbers)]
    if kind == "set":
        return [b"SADD", key, *(b"mem:%012d" % n for n in numbers)]
    if kind == "set of numbers":
        return [b"SADD", key, *(b"%d" % (1_000_000 + n) for n in numbers)]
    if kind == "small sorted set":
        return [b"ZADD", key, *(word for n in numbers for word in (b"%d" % (n * 7 % 997), b"member%d" % (n % 10)))]
    scores = (b"%d.5" if kind == "sorted set" else b"%d")
    return [b"ZADD", key, *(word for n in numbers for word in (scores % (n * 7919 % 1_000_003), b"mem:%012d" % n))]


def send(server, encoded, count):
    """Sends encoded requests that are each answered by one line."""
    with server.connect() as stream:
        stream.sendall(encoded)
        seen = 0
        while seen < count:
            data = stream.recv(1 << 20)
            if not data:
                sys.exit(f"{server.name} closed the connection")
            no_error(data)
            seen += data.count(b"\r\n")


def fill(server, kind, keys, parts, prefix=b"key"):
    """Makes keys with so many parts each."""
    if isinstance(keys, int):
        keys = [b"%s:%09d" % (prefix, number) for number in range(keys)]
    commands = []
    for place, key in enumerate(keys):
        first = place if parts <= 10 else 0
        for start in range(first, first + parts, BATCH):
            commands.append(words_of(kind, key, range(start, min(start + BATCH, first + parts))))
            if sum(map(len, commands[-8:])) > 2_000 or len(commands) >= 400:
                send(server, requests(*commands), len(commands))
                commands = []
    if commands:
        send(server, requests(*commands), len(commands))


def resident_growth(definition, folder, kind, keys, parts):
    """By how many bytes a server grows for these keys.  It holds a fifth as many before, so that what it takes once does not count."""
    server = Server(definition, folder)
    try:
        fill(server, kind, max(1, keys // 5), parts if keys > 1 else parts // 5, b"old")
        time.sleep(0.5)
        before = server.resident_bytes()
        fill(server, kind, keys, parts)
        time.sleep(1)
        return server.resident_bytes() - before
    finally:
        server.stop()


MEMORY = [
    # (figure, kind, counts of keys, parts, per part, target)
    ("hash of 10", "small hash", SMALL_KEYS, 10, SMALL),
    ("list of 10", "list", SMALL_KEYS, 10, SMALL),
    ("list of 10 numbers", "list of numbers", SMALL_KEYS, 10, SMALL),
    ("set of 10", "set", SMALL_KEYS, 10, SMALL),
    ("set of 10 numbers", "set of numbers", SMALL_KEYS, 10, SMALL),
    ("sorted set of 10", "small sorted set", SMALL_KEYS, 10, SMALL),
    ("hash of 1,000", "hash", (LARGE_KEYS,), LARGE_PARTS, LARGE),
    ("hash of 1,000,000", "hash", (1,), HUGE_PARTS, LARGE),
    ("list of 1,000", "list", (LARGE_KEYS,), LARGE_PARTS, LARGE),
    ("list of 1,000,000", "list", (1,), HUGE_PARTS, LARGE),
    ("list of 1,000,000 numbers", "list of numbers", (1,), HUGE_PARTS, LARGE),
    ("set of 1,000", "set", (LARGE_KEYS,), LARGE_PARTS, LARGE),
    ("set of 1,000,000", "set", (1,), HUGE_PARTS, LARGE),
    ("sorted set of 1,000", "sorted set", (LARGE_KEYS,), LARGE_PARTS, LARGE_SORTED_SET),
    ("sorted set of 1,000,000", "sorted set", (1,), HUGE_PARTS, LARGE_SORTED_SET),
]


def memory(definitions, folder, options, table):
    for figure, kind, counts, parts, target in MEMORY:
        per = 1 if parts <= 10 else parts
        parts = int(parts * options.scale) if parts == HUGE_PARTS else parts
        per = per if per < HUGE_PARTS else parts
        figures = {}
        for definition in definitions:
            shares = []
            for count in counts:
                count = count if count == 1 else max(1, int(count * options.scale))
                shares.append(resident_growth(definition, folder, kind, count, parts) / count / per)
            figures[definition.split("=", 1)[0]] = [statistics.mean(shares)]
        table.row(f"{figure}: bytes per {'key' if per == 1 else 'part'}", figures, target)


# Of so many members one is drawn for each request.
MEMBERS = 100_000

REQUESTS = [
    # (figure, requests, words, target)
    ("LPUSH", 800_000, "LPUSH mylist __data__", 0.75),
    ("RPUSH", 800_000, "RPUSH mylist __data__", 0.75),
    ("LPOP", 800_000, "LPOP mylist", 0.75),
    ("RPOP", 800_000, "RPOP mylist", 0.75),
    ("SADD", 800_000, "SADD myset element:__key__", 0.75),
    ("SPOP", 800_000, "SPOP myset", 0.75),
    ("HSET", 800_000, "HSET myhash element:__key__ __data__", 0.65),
    ("ZADD", 800_000, "ZADD myzset __key__ element:__key__", 0.65),
    ("MSET of 10", 150_000, "MSET" + " key:__key__ __data__" * 10, 0.75),
]


def small_requests(servers, options, table):
    run(servers, options, table, REQUESTS, lambda server, figure, count: None)


def filled(servers, options, table):
    takes = int(400_000 * options.scale)

    def prepare(server, figure, count):
        kind = {"LPOP": "list", "RPOP": "list", "SPOP": "set", "ZPOPMIN": "sorted set"}.get(figure.split()[0])
        if kind:
            send(server, requests([b"DEL", b"filled"]), 1)
            fill(server, kind, [b"filled"], count + 1_000)
        else:
            send(server, requests([b"DEL", b"range"]), 1)
            fill(server, "list", [b"range"], 1_000)

    rows = [
        ("LPOP, filled", takes, "LPOP filled", 0.75),
        ("RPOP, filled", takes, "RPOP filled", 0.75),
        ("SPOP, filled", takes, "SPOP filled", 0.75),
        ("ZPOPMIN, filled", takes, "ZPOPMIN filled", 0.75),
        *((f"LRANGE {length}", 40_000, f"LRANGE range 0 {length - 1}", 0.75) for length in (100, 300, 500, 600)),
    ]
    scaled = [(figure, count if "filled" in figure else int(count * options.scale), words, target)
              for figure, count, words, target in rows]
    run(servers, options, table, scaled, prepare, is_scaled=True)


def big(servers, options, table):
    million, hundred_thousand = int(HUGE_PARTS * options.scale), int(BIG_PARTS * options.scale)
    rows = []
    for parts in (hundred_thousand, million):
        for server in servers:
            for kind in ("hash", "set", "sorted set"):
                fill(server, kind, [b"%s:%d" % (kind.replace(" ", "-").encode(), parts)], parts)
        name = f"of {parts:,}"
        ranked, hashed, members = (f"{kind}:{parts}" for kind in ("sorted-set", "hash", "set"))
        rows += [
            (f"ZRANGE of 100 in the middle {name}", 40_000, f"ZRANGE {ranked} {parts // 2} {parts // 2 + 99}", 1.0),
            (f"ZRANGE BYSCORE of 10 {name}", 200_000, f"ZRANGE {ranked} 500000 +inf BYSCORE LIMIT 0 10", 1.0),
            (f"ZRANK {name}", 400_000, f"ZRANK {ranked} mem:__key__", 1.0, parts),
            (f"ZSCORE {name}", 400_000, f"ZSCORE {ranked} mem:__key__", 1.0, parts),
            (f"HGET {name}", 400_000, f"HGET {hashed} fld:__key__", 1.0, parts),
            (f"SISMEMBER {name}", 400_000, f"SISMEMBER {members} mem:__key__", 1.0, parts),
            (f"HGETALL {name}", 4_000_000 // parts, f"HGETALL {hashed}", 1.0),
            (f"SMEMBERS {name}", 4_000_000 // parts, f"SMEMBERS {members}", 1.0),
        ]
    for server in servers:
        # Half of the smaller one is in the larger one.
        for number in range(hundred_thousand // 2, hundred_thousand // 2 + hundred_thousand, BATCH):
            send(server, requests(words_of("set", b"other", range(number, number + BATCH))), 1)
    rows.append((f"SINTER of {hundred_thousand:,} and {hundred_thousand:,}", 40, f"SINTER set:{hundred_thousand} other", 1.0))
    rows.append((f"SINTER of {hundred_thousand:,} and {million:,}", 40, f"SINTER other set:{million}", 1.0))
    run(servers, options, table, rows, lambda server, figure, count: None)


def run(servers, options, table, rows, prepare, is_scaled=False):
    """Runs each row on each server in turn, and prints the medians of all rounds."""
    figures = {}
    for number in range(options.rounds):
        for figure, count, words, _, *members in rows:
            count = count if is_scaled else max(10, int(count * options.scale))
            for server in servers if number % 2 == 0 else servers[::-1]:
                prepare(server, figure, count)
                micros = measure(options.bench, server, count, words, *members)
                figures.setdefault((figure, server.name), []).append(micros)
    for figure, _, _, target, *_ in rows:
        of_servers = {server.name: figures[figure, server.name] for server in servers}
        table.row(f"{figure}: CPU µs per request", of_servers, target)


def measure(program, server, count, words, members=MEMBERS):
    """The server's CPU microseconds per request."""
    crowd = {"connections": 2, "pipeline": 1} if count < 1_000 else {"connections": 50, "pipeline": 16}
    # A key is just the number of a member.
    run = bench(program, server, "command", *words.split(), count=count, keys=members, prefix="", **crowd)
    return run["server_cpu_micros"]


class Table:
    """Prints figures as they come, each beside its target."""

    def __init__(self, names):
        self.names, self.missed = names, []
        print(f"| figure | {' | '.join(names)} | ratio to {names[-1]} | target | |")
        print("|---" * (len(names) + 4) + "|")

    def row(self, figure, rounds, target):
        """Prints a figure, of which each server has one of each round."""
        figures = [statistics.median(rounds[name]) for name in self.names]
        ratio = statistics.median(own / other for own, other in zip(rounds[self.names[0]], rounds[self.names[-1]]))
        is_met = ratio <= target
        shown = " | ".join(f"{figure:,.3f}" if figure < 10 else f"{figure:,.1f}" for figure in figures)
        print(f"| {figure} | {shown} | {ratio:.2f} | {target} | {'met' if is_met else '**missed**'} |", flush=True)
        if not is_met:
            self.missed.append(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("servers", nargs="+", metavar="name=command", help="with {port} and {dir}")
    parser.add_argument("--bench", default="target/release/quartet", help="the program with the subcommand `bench`")
    parser.add_argument("--only", default="memory,requests,filled,big")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    options = parser.parse_args()
    parts = {"requests": small_requests, "filled": filled, "big": big}
    chosen = options.only.split(",")
    with tempfile.TemporaryDirectory() as folder:
        table = Table([definition.split("=", 1)[0] for definition in options.servers])
        if "memory" in chosen:
            memory(options.servers, folder, options, table)
        for name in chosen:
            if name not in parts:
                continue
            servers = [Server(definition, folder) for definition in options.servers]
            try:
                parts[name](servers, options, table)
            finally:
                for server in servers:
                    server.stop()
        print(f"\n{len(table.missed)} missed" + "".join(f"\n  {figure}" for figure in table.missed))


if __name__ == "__main__":
    main()
