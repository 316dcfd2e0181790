"""The functions of `rq_program.py`, which its worker imports."""

import redis

from job import PORT

client = redis.Redis(port=PORT, decode_responses=True)


def add(one, other):
    return one + other


def note(word):
    client.rpush("notes", word)


def third_time():
    tries = client.incr("tries")
    if tries < 3:
        raise ValueError("not yet")
    return tries


def never():
    raise ValueError("never works")


def endless():
    client.blpop("nobody pushes this", timeout=0)
