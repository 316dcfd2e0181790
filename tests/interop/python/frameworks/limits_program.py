"""limits with each strategy: redis-py below the blocking form, and coredis, its default, below the asynchronous one."""

import asyncio
import threading

import limits.aio.storage
import limits.aio.strategies
import limits.storage
import limits.strategies
import redis

from job import PORT, URL, run, wait_until, within_an_hour

LIMIT = limits.parse("10/hour")
TRIES = 25
STRATEGIES = ["FixedWindowRateLimiter", "MovingWindowRateLimiter", "SlidingWindowCounterRateLimiter"]

storage = limits.storage.storage_from_string(URL)


def limiters(module, storage):
    return [(name, getattr(module, name)(storage)) for name in STRATEGIES]


def each_strategy():
    within_an_hour()
    for name, limiter in limiters(limits.strategies, storage):
        assert [limiter.hit(LIMIT, name) for _ in range(12)] == [True] * 10 + [False] * 2, name
        assert limiter.test(LIMIT, name) is False
        assert limiter.test(LIMIT, name, "another") is True
        assert limiter.get_window_stats(LIMIT, name).remaining == 0
        limiter.clear(LIMIT, name)
        assert limiter.get_window_stats(LIMIT, name).remaining == 10
        assert limiter.hit(LIMIT, name, cost=7) is True
        assert limiter.get_window_stats(LIMIT, name).remaining == 3
        assert limiter.hit(LIMIT, name, cost=4) is False
    assert storage.check() is True


def in_many_threads():
    within_an_hour()
    for name, limiter in limiters(limits.strategies, storage):
        granted = []
        threads = [threading.Thread(target=lambda: granted.append(limiter.hit(LIMIT, "threads"))) for _ in range(TRIES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(granted) == [False] * 15 + [True] * 10, name
        limiter.clear(LIMIT, "threads")


def window_that_ends():
    """After the window there is room again."""
    short = limits.parse("2/second")
    for name, limiter in limiters(limits.strategies, storage):
        wait_until(lambda: limiter.hit(short, "short", name))
        wait_until(lambda: not limiter.hit(short, "short", name))
        wait_until(lambda: limiter.hit(short, "short", name))


def asynchronous():
    within_an_hour()

    async def steps():
        other = limits.storage.storage_from_string(f"async+{URL}")
        for name, limiter in limiters(limits.aio.strategies, other):
            granted = await asyncio.gather(*(limiter.hit(LIMIT, "tasks", name) for _ in range(TRIES)))
            assert sorted(granted) == [False] * 15 + [True] * 10, name
            assert (await limiter.get_window_stats(LIMIT, "tasks", name)).remaining == 0
            await limiter.clear(LIMIT, "tasks", name)
            assert await limiter.test(LIMIT, "tasks", name) is True
        assert await other.check() is True
        assert await other.reset() >= 1

    asyncio.run(steps())


def reset():
    assert storage.reset() >= 0
    assert redis.Redis(port=PORT).keys("LIMITS*") == []


if __name__ == "__main__":
    run([each_strategy, in_many_threads, window_that_ends, asynchronous, reset])
