"""channels_redis, the layers of Django's channels: messages of consumers, groups, and what is too much."""

import asyncio

import channels.exceptions
import redis.asyncio
from channels_redis.core import RedisChannelLayer
from channels_redis.pubsub import RedisPubSubChannelLayer

from job import LOOK_SECONDS, PATIENCE_SECONDS, URL, run


def with_layer(make):
    """The step with a layer and another of another process, as asyncio runs it."""

    def wrap(step):
        def synchronous():
            async def enter():
                layers = make(), make()
                await asyncio.wait_for(step(*layers), PATIENCE_SECONDS)
                for layer in layers:
                    await layer.flush()
                    if hasattr(layer, "close_pools"):
                        await layer.close_pools()

            asyncio.run(enter())

        synchronous.__name__ = step.__name__
        return synchronous

    return wrap


def core():
    return RedisChannelLayer(hosts=[URL], capacity=5)


@with_layer(core)
async def messages_in_order(one, other):
    channel = await one.new_channel()
    waiting = asyncio.create_task(one.receive(channel))
    await other.send(channel, {"type": "first"})
    assert await waiting == {"type": "first"}
    for number in range(3):
        await other.send("worker", {"type": "work", "number": number})
    assert [(await one.receive("worker"))["number"] for _ in range(3)] == [0, 1, 2]


@with_layer(core)
async def capacity(one, other):
    for _ in range(5):
        await one.send("full", {"type": "work"})
    try:
        await other.send("full", {"type": "work"})
    except channels.exceptions.ChannelFull:
        pass
    else:
        raise AssertionError("there are five messages")


@with_layer(core)
async def groups(one, other):
    first, second = await one.new_channel(), await other.new_channel()
    await one.group_add("room", first)
    await other.group_add("room", second)
    await one.group_send("room", {"type": "hello"})
    assert await one.receive(first) == {"type": "hello"}
    assert await other.receive(second) == {"type": "hello"}
    await one.group_discard("room", first)
    await one.group_send("room", {"type": "again"})
    assert await other.receive(second) == {"type": "again"}
    await one.send(first, {"type": "alone"})
    assert await one.receive(first) == {"type": "alone"}


async def subscribers(pattern, count):
    """Waits until channels of these names have so many subscribers.  The layer does not await the reply to SUBSCRIBE, and
    a server with several threads may see another connection's PUBLISH before."""
    async with redis.asyncio.from_url(URL) as client:
        while True:
            channels = await client.pubsub_channels(pattern)
            if sum(number for _, number in await client.pubsub_numsub(*channels)) == count:
                return
            await asyncio.sleep(LOOK_SECONDS)


@with_layer(lambda: RedisPubSubChannelLayer(hosts=[URL]))
async def over_publish(one, other):
    first, second = await one.new_channel(), await other.new_channel()
    await one.group_add("room", first)
    await other.group_add("room", second)
    await subscribers("*room*", 2)
    for number in range(3):
        await one.group_send("room", {"type": "hello", "number": number})
    for layer, channel in [(one, first), (other, second)]:
        assert [(await layer.receive(channel))["number"] for _ in range(3)] == [0, 1, 2]


if __name__ == "__main__":
    run([messages_in_order, capacity, groups, over_publish])
