"""python-redis-lock, whose waiters are woken by BLPOP, with its defaults."""

import threading

import redis
import redis_lock

from job import PORT, run, wait_until

client = redis.Redis(port=PORT)


def handed_over():
    """Each waiter gets the lock as soon as the one before lets go of it."""
    order = []
    first = redis_lock.Lock(client, "turn")
    assert first.acquire() and first.locked()

    def enter(name):
        with redis_lock.Lock(redis.Redis(port=PORT), "turn"):
            order.append(name)

    threads = [threading.Thread(target=enter, args=(name,)) for name in range(4)]
    for number, thread in enumerate(threads):
        thread.start()
        wait_until(lambda: client.info("clients")["blocked_clients"] == number + 1)
    first.release()
    for thread in threads:
        thread.join()
    assert sorted(order) == [0, 1, 2, 3] and order[0] == 0
    assert not first.locked()


def expiry_and_renewal():
    def remaining_ms():
        return client.pttl("lock:short")

    # It is renewed after two thirds of its time; a busy machine may be late by a second.
    with redis_lock.Lock(client, "short", expire=6, auto_renewal=True) as lock:
        wait_until(lambda: remaining_ms() < 5_500)
        wait_until(lambda: remaining_ms() > 5_500)
        assert not redis_lock.Lock(client, "short").acquire(blocking=False)
        lock.extend(30)
        assert 6_000 < remaining_ms() <= 30_000
    assert redis_lock.Lock(client, "short", expire=2).acquire(blocking=False)


def not_ours():
    lock = redis_lock.Lock(client, "other")
    lock.acquire()
    client.delete("lock:other")
    try:
        lock.release()
    except redis_lock.NotAcquired:
        pass
    else:
        raise AssertionError("somebody took it away")


def reset():
    left = [redis_lock.Lock(client, f"left:{number}") for number in range(3)]
    assert all(lock.acquire() for lock in left)
    redis_lock.reset_all(client)
    assert not any(lock.locked() for lock in left)


if __name__ == "__main__":
    run([handed_over, expiry_and_renewal, not_ours, reset])
