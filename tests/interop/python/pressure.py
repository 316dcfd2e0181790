"""A cache's main job: writes with TTLs far past maxmemory: `pressure.py PORT LIMIT`, the limit in bytes.

No write may fail, memory stays at the limit, and every key that is left has the right value and TTL.
"""

import random
import sys
import time

import redis

KEYS = 200_000
BATCHES = 400
BATCH = 400
VALUE_LENGTHS = (100, 1_000)
TTLS = (100, 10_000)

# Memory that a server may take for a moment above its limit: the batch being run and its replies.
SLACK = 2 << 20


def value_of(key, version, length):
    return f"{key}:{version}:".ljust(length, "v").encode()


def write(client, source, written):
    """Writes one batch and notes the values that must be found later."""
    with client.pipeline(transaction=False) as batch:
        for _ in range(BATCH):
            key = f"key:{source.randrange(KEYS)}"
            version, length, ttl = source.random(), source.randint(*VALUE_LENGTHS), source.randint(*TTLS)
            written[key] = (value_of(key, version, length), ttl, time.monotonic())
            batch.set(key, written[key][0], ex=ttl)
        assert all(batch.execute())


def check(client, source, written):
    """Reads a sample of the keys written and returns how many are left."""
    sample = source.sample(sorted(written), BATCH)
    with client.pipeline(transaction=False) as batch:
        for key in sample:
            batch.get(key).pttl(key)
        replies = batch.execute()
    now = time.monotonic()
    found = 0
    for key, value, ttl_ms in zip(sample, replies[::2], replies[1::2]):
        expected, ttl, since = written[key]
        if value is None:
            assert ttl_ms == -2, (key, ttl_ms)
            continue
        found += 1
        assert value == expected, key
        # A reply may have been under way for a while, but a TTL only falls, and only with time.
        assert (ttl - (now - since)) * 1000 - 2 <= ttl_ms <= ttl * 1000, (key, ttl, now - since, ttl_ms)
    return found


def main(port, limit):
    source = random.Random(1)
    written = {}
    most = 0
    found = 0
    with redis.Redis(port=port) as client:
        assert int(client.config_get("maxmemory")["maxmemory"]) == limit
        for number in range(BATCHES):
            write(client, source, written)
            memory = client.info("memory")
            most = max(most, memory["used_memory"])
            assert memory["used_memory"] <= limit + SLACK, memory["used_memory"]
            assert memory["maxmemory"] == limit
            if number % 20 == 19:
                found += check(client, source, written)
        evicted = client.info("stats")["evicted_keys"]
        kept = client.dbsize()
        bytes_kept = client.info("memory")["used_memory"]
    assert 0 < evicted
    assert evicted + kept <= BATCHES * BATCH
    assert kept < len(written)
    assert 0 < found
    assert limit * 3 // 4 < bytes_kept, "more was evicted than had to be"
    print(f"{BATCHES * BATCH} writes of {len(written)} keys: {kept} kept, {evicted} evicted, {most - limit} bytes over")


main(int(sys.argv[1]), int(sys.argv[2]))
