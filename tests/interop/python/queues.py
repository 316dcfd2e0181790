"""Queues of redis-py on lists, with its default settings: `queues.py PORT`.

Each function is a step; its name is printed once it has passed.
"""

import sys
import threading

import redis

JOBS = 300
WORKERS = 4


def push_and_pop(client):
    assert client.rpush("list", "a", "b", 3) == 3
    assert client.lpush("list", "first") == 4
    assert client.lrange("list", 0, -1) == [b"first", b"a", b"b", b"3"]
    assert client.lpop("list") == b"first"
    assert client.rpop("list", 2) == [b"3", b"b"]
    assert client.lpos("list", "a") == 0
    assert client.linsert("list", "before", "a", "0") == 2
    assert client.lmove("list", "other", "LEFT", "RIGHT") == b"0"
    assert client.lmpop(2, "absent", "list", direction="LEFT") == [b"list", [b"a"]]
    assert client.llen("list") == 0
    assert client.ltrim("other", 1, 0) is True


def wait_in_vain(client):
    assert client.blpop("absent", timeout=0.05) is None
    assert client.brpop(["absent", "other"], timeout=0.05) is None
    assert client.blmove("absent", "other", 0.05) is None
    assert client.brpoplpush("absent", "other", 0.05) is None
    assert client.blmpop(0.05, 1, "absent", direction="LEFT") is None


def in_thread(work):
    """The results of `work`, once it is done."""
    results = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    return thread, results


def blocked(client):
    return client.info("clients")["blocked_clients"]


def wait_for_an_element(client):
    for pop, push, expected in [
        (lambda: client.blpop(["one", "two"], timeout=0), lambda: client.rpush("two", "x"), [b"two", b"x"]),
        (lambda: client.brpop("one", timeout=60), lambda: client.lpush("one", "x"), [b"one", b"x"]),
        (lambda: client.blmove("one", "to", 0, "LEFT", "RIGHT"), lambda: client.rpush("one", "x"), b"x"),
        (lambda: client.blmpop(0, 2, "one", "two", direction="RIGHT", count=2), lambda: client.rpush("one", 1, 2, 3), [b"one", [b"3", b"2"]]),
    ]:
        thread, results = in_thread(pop)
        while blocked(client) == 0:
            pass
        push()
        thread.join()
        popped = results[0]
        assert (list(popped) if isinstance(popped, tuple) else popped) == expected, (popped, expected)
    assert client.lrange("to", 0, -1) == [b"x"]
    client.delete("one", "to")


def in_order(client):
    threads = []
    for number in range(WORKERS):
        threads.append(in_thread(lambda: client.blpop("queue", timeout=0)))
        while blocked(client) <= number:
            pass
    client.rpush("queue", *range(WORKERS))
    for number, (thread, results) in enumerate(threads):
        thread.join()
        assert results[0][1] == str(number).encode()


def unblocked(client):
    port = client.connection_pool.connection_kwargs["port"]
    for error in [False, True]:
        waiting = redis.Redis(port=port, single_connection_client=True)
        number = waiting.client_id()

        def wait():
            try:
                return waiting.blpop("absent", timeout=0)
            except redis.ResponseError as refusal:
                return str(refusal)

        thread, results = in_thread(wait)
        while not client.client_unblock(number, error=error):
            pass
        thread.join()
        assert results == ["UNBLOCKED client unblocked via CLIENT UNBLOCK" if error else None], results


def workers_that_lose_nothing(client):
    """Each worker keeps a job in a list of its own until it is done, and one of them dies over its first one."""
    done = []

    def work(name):
        own = f"working:{name}"
        while (job := client.blmove("jobs", own, 0, "LEFT", "RIGHT")) != b"stop":
            if name == 0:
                return
            done.append(int(job))
            assert client.lrem(own, 1, job) == 1

    threads = [threading.Thread(target=work, args=(name,)) for name in range(WORKERS)]
    for thread in threads:
        thread.start()
    for number in range(JOBS):
        client.rpush("jobs", number)
    threads[0].join()
    assert client.llen("working:0") == 1
    assert client.lmove("working:0", "jobs", "LEFT", "LEFT") is not None
    client.rpush("jobs", *["stop"] * (WORKERS - 1))
    for thread in threads[1:]:
        thread.join()
    assert sorted(done) == list(range(JOBS))
    assert client.llen("jobs") == 0


def main():
    client = redis.Redis(port=int(sys.argv[1]))
    steps = [
        push_and_pop,
        wait_in_vain,
        wait_for_an_element,
        in_order,
        unblocked,
        workers_that_lose_nothing,
    ]
    for step in steps:
        step(client)
        print(step.__name__, flush=True)


main()
