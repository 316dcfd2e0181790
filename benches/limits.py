#!/usr/bin/env python3
"""Measures rate limiting side by side in one run and prints ratios.

    benches/limits.py throttle quartet='target/release/quartet --port {port} --http-port off --dir ""' \
        throttlecrab='throttlecrab-server --redis --redis-host 127.0.0.1 --redis-port {port}' redis='redis-server --port {port} --save ""'
    benches/limits.py check    quartet=... throttlecrab=... redis=...
    benches/limits.py memory   quartet=...

Fifty connections send sixteen checks to a write, and the server's CPU time is read from /proc.  `throttle` compares
CL.THROTTLE with throttlecrab's THROTTLE and with the GCRA script that redis_rate and its like run in Redis; `check` compares
RL.CHECK of one limit with the same, and with RL.MCHECK of a user's and a global limit.  `memory` counts resident bytes per
live counter, a million of them, keys of sixteen bytes included.  All servers listen on loopback and are stopped at the end.
"""
import argparse
import statistics
import sys
import tempfile

from servers import Load, Server, no_error, requests

CONNECTIONS = 50
CHECKS_PER_WRITE = 16
BLOCKS = 32
KEYS = 100_000
COUNTERS = 1_000_000
END = requests(["PING"])
ENDED = b"+PONG\r\n"
# The generic cell rate algorithm with times in seconds, as limiters built on Redis scripts have it.
GCRA_SCRIPT = """
local burst, rate, period, cost = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local interval = period / rate
local now = redis.call('TIME')
now = (now[1] - 1483228800) + now[2] / 1000000
local arrival = tonumber(redis.call('GET', KEYS[1]) or now)
if arrival < now then arrival = now end
local after = arrival + interval * cost
local left = (now - (after - interval * burst)) / interval
if left < 0 then return {0, 0, tostring(after - interval * burst - now), tostring(arrival - now)} end
if after > now then redis.call('SET', KEYS[1], after, 'EX', math.ceil(after - now)) end
return {cost, math.floor(left), '-1', tostring(after - now)}
"""


def load_script(server):
    with server.connect() as connection:
        connection.sendall(requests(["SCRIPT", "LOAD", GCRA_SCRIPT]))
        return connection.recv(256).split(b"\r\n")[1]


def ask(server, *command):
    with server.connect() as connection:
        connection.sendall(requests(command))
        answer = connection.recv(4096)
        if answer.startswith(b"-"):
            sys.exit(f"{server.name}: {answer!r}")


def lasting(server):
    """A check whose counter lasts for the whole measurement."""
    if server.name.startswith("throttlecrab"):
        return lambda key: ["THROTTLE", key, 100, 1, 86400, 1]
    if server.name.startswith("redis"):
        script = load_script(server)
        return lambda key: ["EVALSHA", script, 1, key, 100, 1, 86400, 1]
    return lambda key: ["CL.THROTTLE", key, 100, 1, 86400, 1]


def kinds(server, measurement):
    """The commands to compare on a server, by name: key to command."""
    if server.name.startswith("throttlecrab"):
        return {"THROTTLE": lambda key: ["THROTTLE", key, 100, 1000, 60, 1]}
    if server.name.startswith("redis"):
        script = load_script(server)
        return {"GCRA script": lambda key: ["EVALSHA", script, 1, key, 100, 1000, 60, 1]}
    if measurement == "throttle":
        return {"CL.THROTTLE": lambda key: ["CL.THROTTLE", key, 100, 1000, 60, 1]}
    ask(server, "RL.POLICY", "SET", "user", "ALGO", "gcra", "LIMIT", 1000, "PERIOD", 60000, "BURST", 100)
    ask(server, "RL.POLICY", "SET", "global", "ALGO", "gcra", "LIMIT", 1000000, "PERIOD", 1000, "BURST", 1000000)
    return {
        "RL.CHECK": lambda key: ["RL.CHECK", key, "POLICY", "user"],
        "RL.MCHECK of two": lambda key: ["RL.MCHECK", 2, "user", key, 1, "global", "all", 1],
    }


def measure(server, command, writes):
    """CPU microseconds per check and checks per second."""
    prepared = []
    for connection in range(CONNECTIONS):
        blocks = []
        for block in range(BLOCKS):
            numbers = [(connection * 7919 + block * 104729 + check * 1299709) % KEYS for check in range(CHECKS_PER_WRITE)]
            blocks.append(requests(*(command(f"user:{number:011}") for number in numbers)) + END)
        prepared.append(blocks)
    left = [writes] * CONNECTIONS

    def next_request(number):
        if left[number] == 0:
            return None
        left[number] -= 1
        return prepared[number][left[number] % BLOCKS]

    load = Load(("127.0.0.1", server.port), CONNECTIONS, next_request, lambda answer: answer.endswith(ENDED), no_error)
    before = server.cpu_seconds()
    seconds = load.run()
    load.close()
    checks = writes * CONNECTIONS * CHECKS_PER_WRITE
    return (server.cpu_seconds() - before) * 1e6 / checks, checks / seconds


def speed(measurement):
    def run(servers, rounds, scale):
        commands = [(server, name, command) for server in servers for name, command in kinds(server, measurement).items()]
        figures = {}
        for _ in range(rounds):
            for server, name, command in commands:
                figures.setdefault((server.name, name), []).append(measure(server, command, int(500 * scale)))
        base = statistics.median(cpu for cpu, _ in figures[(servers[0].name, commands[0][1])])
        print(f"| server | command | CPU µs/check | {commands[0][1]}'s share of it | checks/s |")
        print("|---|---|---|---|---|")
        for server, name, _ in commands:
            cpu, rate = (statistics.median(column) for column in zip(*figures[(server.name, name)]))
            print(f"| {server.name} | {name} | {cpu:.3f} | {base / cpu:.2f} | {rate:.0f} |")
    return run


def memory(servers, _rounds, scale):
    print("| server | counters | bytes per counter |")
    print("|---|---|---|")
    for server in servers:
        count = int(COUNTERS * scale)
        command = lasting(server)
        before = server.resident_bytes()
        with server.connect() as connection:
            for start in range(0, count, 500):
                connection.sendall(requests(*(command(f"{number:016}") for number in range(start, start + 500))) + END)
                answer = b""
                while not answer.endswith(ENDED):
                    answer += connection.recv(1 << 16)
        print(f"| {server.name} | {count} | {(server.resident_bytes() - before) / count:.1f} |")


MEASUREMENTS = {"throttle": speed("throttle"), "check": speed("check"), "memory": memory}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("measurement", choices=MEASUREMENTS)
    parser.add_argument("servers", nargs="+", help="name=command, with {port} and {dir}; the name says which commands it has")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        servers = []
        try:
            for definition in arguments.servers:
                servers.append(Server(definition, folder))
            MEASUREMENTS[arguments.measurement](servers, arguments.rounds, arguments.scale)
        finally:
            for server in servers:
                server.stop()


if __name__ == "__main__":
    main()
