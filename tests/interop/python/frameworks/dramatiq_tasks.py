"""The actors of `dramatiq_program.py`, which its worker imports."""

import dramatiq
import redis
from dramatiq.brokers.redis import RedisBroker
from dramatiq.rate_limits.backends import RedisBackend as LimitsBackend
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend as ResultsBackend

from job import PORT

broker = RedisBroker(port=PORT)
broker.add_middleware(Results(backend=ResultsBackend(port=PORT)))
limits = LimitsBackend(port=PORT)
broker.add_middleware(dramatiq.middleware.GroupCallbacks(limits))
dramatiq.set_broker(broker)

client = redis.Redis(port=PORT, decode_responses=True)


@dramatiq.actor(store_results=True)
def add(one, other):
    return one + other


@dramatiq.actor
def note(word):
    client.rpush("notes", word)


@dramatiq.actor(min_backoff=1, max_backoff=1, max_retries=5, store_results=True)
def third_time():
    tries = client.incr("tries")
    if tries < 3:
        raise ValueError("not yet")
    return tries


@dramatiq.actor(max_retries=1, min_backoff=1, max_backoff=1)
def never():
    client.incr("never")
    raise ValueError("never works")
