"""redis-py moves all keys of one server to another and back, as migration tools do: SCAN, DUMP with PTTL, RESTORE."""

import sys

import redis

NUMBERS = 90
KEYS = 5 * NUMBERS + 1

source_port, destination_port, protocol = map(int, sys.argv[1:])


def connect(port):
    return redis.Redis(port=port, protocol=protocol)


def fill(server):
    with server.pipeline(transaction=False) as pipeline:
        for number in range(NUMBERS):
            pipeline.set(f"string:{number}", number if number % 2 else f"text {number} " * number, px=1_000_000 + number)
            pipeline.hset(f"hash:{number}", mapping={f"field{field}": field * number for field in range(1 + number % 90)})
            pipeline.rpush(f"list:{number}", *(f"element{element}" for element in range(1 + number % 70)), number)
            pipeline.sadd(f"set:{number}", *range(number, 2 * number + 1), *([f"member{number}"] if number % 2 else []))
            pipeline.zadd(f"zset:{number}", {f"member{member}": member / 7 for member in range(1 + 2 * number)})
        pipeline.set(b"binary\x00\xff\r\n", bytes(range(256)))
        pipeline.execute()


def move(source, destination):
    moved = 0
    for key in source.scan_iter(count=100):
        with source.pipeline() as pipeline:
            payload, ttl = pipeline.dump(key).pttl(key).execute()
        assert destination.restore(key, max(ttl, 0), payload, replace=True), key
        moved += 1
    return moved


def read(server, key):
    match server.type(key):
        case b"string":
            return server.get(key)
        case b"hash":
            return server.hgetall(key)
        case b"list":
            return server.lrange(key, 0, -1)
        case b"set":
            return server.smembers(key)
        case b"zset":
            return server.zrange(key, 0, -1, withscores=True)


def assert_same(one, other):
    keys = sorted(one.keys())
    assert keys == sorted(other.keys())
    for key in keys:
        assert read(one, key) == read(other, key), key
        lifetimes = one.pttl(key), other.pttl(key)
        # A minute is more than a test takes.
        assert abs(lifetimes[0] - lifetimes[1]) < 60_000, (key, lifetimes)


source, destination = connect(source_port), connect(destination_port)
fill(source)
assert move(source, destination) == KEYS
assert_same(source, destination)
print("there")

source.flushall()
assert move(destination, source) == KEYS
assert_same(source, destination)
print("back")

payload = source.dump("hash:7")
for refusal, arguments in [("BUSYKEY", {}), ("", {"replace": True})]:
    try:
        destination.restore("hash:7", 0, payload, **arguments)
        assert not refusal
    except redis.ResponseError as error:
        assert refusal and "Target key name already exists." in str(error), error
try:
    destination.restore("new", 0, payload[:-1])
    raise AssertionError("it was cut")
except redis.ResponseError as error:
    assert str(error) == "DUMP payload version or checksum are wrong", error
assert source.dump("missing") is None
print("refusals")
