"""The tasks of `huey_program.py`, which its consumer imports."""

import redis
from huey import PriorityRedisHuey, RedisHuey

from job import PORT

huey = RedisHuey("jobs", port=PORT)
ranked = PriorityRedisHuey("ranked", port=PORT)
client = redis.Redis(port=PORT, decode_responses=True)


@huey.task()
def add(one, other):
    return one + other


@huey.task()
def note(word):
    client.rpush("notes", word)


@huey.task(retries=2)
def third_time():
    if client.incr("tries") < 3:
        raise ValueError("not yet")
    return client.get("tries")


@huey.task()
@huey.lock_task("alone")
def alone():
    return "done"


@ranked.task()
def note_ranked(word):
    client.rpush("ranked notes", word)
