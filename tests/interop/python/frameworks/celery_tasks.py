"""The tasks of `celery_program.py`, which its worker imports."""

import redis
from celery import Celery

from job import PORT, URL

app = Celery("celery_tasks", broker=URL, backend=URL)


@app.task
def add(one, other):
    return one + other


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def note(word):
    with redis.Redis(port=PORT) as client:
        client.rpush("notes", word)


@app.task(bind=True, max_retries=3, default_retry_delay=0)
def third_time(self):
    if self.request.retries < 2:
        raise self.retry()
    return self.request.retries


@app.task(autoretry_for=(ValueError,), max_retries=1, retry_backoff=False, default_retry_delay=0)
def never():
    note("never")
    raise ValueError("never works")
