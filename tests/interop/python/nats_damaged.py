"""Reads the stream DAMAGED, of whose six messages one cannot be read: `nats_damaged.py HOST:PORT`.

It prints for each way of reading the sequences that it got.
"""

import asyncio
import sys

import nats

READABLE = 5
# Only a broken server lets a program wait for so many seconds.
LONG = 60


def told(way, messages):
    print(f"{way}:", *(message.metadata.sequence.stream for message in messages), flush=True)


async def fetched(streams, batch):
    subscription = await streams.pull_subscribe("damaged", durable=f"python-{batch}")
    messages = []
    while len(messages) < READABLE:
        messages += await subscription.fetch(batch, timeout=LONG)
    told(f"fetch {batch}", messages)


async def pushed(streams):
    subscription = await streams.subscribe("damaged", ordered_consumer=True)
    told("pushed", [await subscription.next_msg(timeout=LONG) for _ in range(READABLE)])


async def main():
    client = await nats.connect(f"nats://{sys.argv[1]}")
    streams = client.jetstream()
    for batch in (6, 2, 1):
        await fetched(streams, batch)
    await pushed(streams)
    await client.close()


asyncio.run(main())
