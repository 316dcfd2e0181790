"""Runs jobs one after the other, and what several of them need."""

import asyncio
import sys
import traceback

import nats
from nats.js.errors import APIError

# Whoever waits for so long waits in vain; it bounds a broken run, no working one depends on it.
HANG_GUARD = 60

# How often a job is begun.
ATTEMPTS = 10


async def run(address, all_jobs, wanted):
    """Runs the jobs that are wanted, of which none means all."""
    client = await nats.connect(f"nats://{address}", max_reconnect_attempts=-1, reconnect_time_wait=0.05)
    failures = 0
    for job in all_jobs:
        if wanted and job.__name__ not in wanted:
            continue
        try:
            await attempt(client, job)
            print(job.__name__, flush=True)
        except Exception:
            failures += 1
            print(f"failed: {job.__name__}", flush=True)
            traceback.print_exc(file=sys.stderr)
        await clear(client)
    await client.close()
    if failures:
        sys.exit(f"{failures} failed")


async def attempt(client, job):
    """Does a job in a time that is bounded, anew where nats-server still removes the folder of the account's last stream."""
    for _ in range(ATTEMPTS - 1):
        try:
            return await asyncio.wait_for(job(client, client.jetstream(timeout=HANG_GUARD)), HANG_GUARD)
        except APIError as error:
            if "error creating store" not in (error.description or ""):
                raise
            await clear(client)
    return await asyncio.wait_for(job(client, client.jetstream(timeout=HANG_GUARD)), HANG_GUARD)


async def clear(client):
    """Deletes every stream."""
    manager = client.jsm()
    for info in await manager.streams_info():
        await manager.delete_stream(info.config.name)


async def publish_numbers(streams, subject, count):
    """Publishes a number per message, each acknowledged; their sequences."""
    return [(await streams.publish(subject, b"%d" % number)).seq for number in range(count)]


def numbers(count, first=0):
    """The payloads of these numbers."""
    return [b"%d" % number for number in range(first, first + count)]


async def refused(call, code, err_code, text):
    """Awaits a call that the server refuses with this error."""
    try:
        await call
    except APIError as error:
        assert (error.code, error.err_code) == (code, err_code), error
        assert text in error.description, error
        return
    raise AssertionError(f"nobody refused: {text}")


async def raises(kind, call):
    """Awaits a call that ends with such an exception, which is returned."""
    try:
        await call
    except kind as error:
        return error
    raise AssertionError(f"there was no {kind.__name__}")


async def until(condition):
    """Waits until an asynchronous condition finds something, which is returned."""
    while True:
        found = await condition()
        if found:
            return found
        await asyncio.sleep(0.01)
