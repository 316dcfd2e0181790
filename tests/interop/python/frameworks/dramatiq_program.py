"""dramatiq with its broker, results, limits and a worker process, all with their defaults."""

import dramatiq
from dramatiq.rate_limits import BucketRateLimiter, ConcurrentRateLimiter, WindowRateLimiter

from dramatiq_tasks import add, broker, client, limits, never, note, third_time
from job import PATIENCE_SECONDS, run, wait_until, worker

PATIENCE_MS = PATIENCE_SECONDS * 1000


def results():
    messages = [add.send(number, number) for number in range(50)]
    answers = [message.get_result(block=True, timeout=PATIENCE_MS) for message in messages]
    assert answers == [2 * number for number in range(50)]


def pipelines_and_groups():
    pipe = (add.message(1, 2) | add.message(3) | add.message(4)).run()
    assert pipe.get_result(block=True, timeout=PATIENCE_MS) == 10
    group = dramatiq.group(add.message(number, 1) for number in range(10))
    group.add_completion_callback(note.message("all done"))
    group.run()
    assert list(group.get_results(block=True, timeout=PATIENCE_MS)) == list(range(1, 11))
    wait_until(lambda: client.llen("notes") == 1)
    assert client.lpop("notes") == "all done"


def retries():
    assert third_time.send().get_result(block=True, timeout=PATIENCE_MS) == 3


def dead_letters():
    never.send()
    wait_until(lambda: client.zcard("dramatiq:default.XQ") == 1)
    assert client.get("never") == "2"
    assert client.hlen("dramatiq:default.XQ.msgs") == 1


def later():
    note.send_with_options(args=("later",), delay=500)
    note.send("now")
    wait_until(lambda: client.llen("notes") == 2)
    assert client.lrange("notes", 0, -1) == ["now", "later"]
    broker.join("default", timeout=PATIENCE_MS)
    assert broker.do_qsize("default") == 0


def rate_limits():
    concurrent = ConcurrentRateLimiter(limits, "concurrent", limit=2)
    with concurrent.acquire() as first, concurrent.acquire() as second:
        assert first and second
        with concurrent.acquire(raise_on_failure=False) as third:
            assert not third
    with concurrent.acquire(raise_on_failure=False) as again:
        assert again
    for limiter in [BucketRateLimiter(limits, "bucket", limit=3, bucket=60_000), WindowRateLimiter(limits, "window", limit=3, window=60)]:
        granted = []
        for _ in range(5):
            with limiter.acquire(raise_on_failure=False) as acquired:
                granted.append(acquired)
        assert granted == [True, True, True, False, False]


STEPS = [results, pipelines_and_groups, retries, dead_letters, later, rate_limits]

if __name__ == "__main__":
    with worker("-m", "dramatiq", "dramatiq_tasks", "--processes", "1", "--threads", "2"):
        run(STEPS)
