"""The functions of `arq_program.py`, which its worker imports."""

from arq import Retry
from arq.connections import RedisSettings

from job import PORT


async def add(context, one, other):
    return one + other


async def note(context, word):
    await context["redis"].rpush("notes", word)


async def third_time(context):
    if context["job_try"] < 3:
        raise Retry()
    return context["job_try"]


async def never(context):
    raise ValueError("never works")


class WorkerSettings:
    functions = [add, note, third_time, never]
    redis_settings = RedisSettings(port=PORT)
    allow_abort_jobs = True
