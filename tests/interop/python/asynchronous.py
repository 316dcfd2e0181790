"""redis-py's asyncio client with its default settings: `asynchronous.py PORT PROTOCOL`.

Each function is a step; its name is printed once it has passed.
"""

import asyncio
import sys

import redis
import redis.asyncio

KEYS = 1000
CLIENTS = 50


async def connect(client):
    assert await client.ping() is True
    assert (await client.info("server"))["redis_version"].count(".") == 2


async def set_and_get(client):
    assert await client.set("greeting", "hello") is True
    assert await client.get("greeting") == b"hello"
    assert await client.get("absent") is None
    numbers = await asyncio.gather(*(client.incr("counter") for _ in range(CLIENTS)))
    assert sorted(numbers) == list(range(1, CLIENTS + 1))


async def expire_and_ttl(client):
    await client.set("session", "open", ex=100)
    assert 0 < await client.ttl("session") <= 100
    assert await client.expire("session", 200) is True
    assert 100 < await client.ttl("session") <= 200
    assert await client.persist("session") is True
    assert await client.ttl("session") == -1
    await client.set("moment", "gone soon", px=1)
    while await client.exists("moment"):
        pass


async def remove(client):
    await client.mset({"first": 1, "second": 2})
    assert await client.delete("first", "second", "absent") == 2


async def pipeline(client):
    async with client.pipeline() as batch:
        for number in range(KEYS):
            batch.set(f"batch:{number}", number)
        batch.get("batch:7")
        assert await batch.execute() == [True] * KEYS + [b"7"]


async def transaction(client):
    await client.set("balance", 10)
    async with client.pipeline() as attempt:
        await attempt.watch("balance")
        balance = int(await attempt.get("balance"))
        await client.set("balance", 50)
        attempt.multi()
        attempt.set("balance", balance + 1)
        try:
            await attempt.execute()
            raise AssertionError("the watched key has changed")
        except redis.WatchError:
            pass
    assert await client.get("balance") == b"50"


async def scan(client):
    await client.mset({f"item:{number}": number for number in range(KEYS)})
    found = {key async for key in client.scan_iter(match="item:*")}
    assert found == {f"item:{number}".encode() for number in range(KEYS)}


async def publish_and_subscribe(client):
    async with client.pubsub() as listener:
        await listener.subscribe("news")
        await listener.psubscribe("n?w*")
        heard = listener.listen()
        # The library does not wait for the confirmations of its own accord.
        confirmations = [await anext(heard), await anext(heard)]
        assert [message["type"] for message in confirmations] == ["subscribe", "psubscribe"], confirmations
        assert await client.publish("news", "extra") == 2
        messages = [await anext(heard), await anext(heard)]
        assert {message["type"] for message in messages} == {"message", "pmessage"}, messages
        assert all(message["data"] == b"extra" for message in messages)


async def errors(client):
    await client.set("word", "text")
    try:
        await client.incr("word")
        raise AssertionError("a word has no successor")
    except redis.ResponseError as error:
        assert str(error) == "value is not an integer or out of range"


async def reconnect(client):
    identity = await client.client_id()
    assert await client.client_kill_filter(_id=identity, skipme=False) == 1
    assert await client.get("word") == b"text"
    assert await client.client_id() != identity


STEPS = [
    connect,
    set_and_get,
    expire_and_ttl,
    remove,
    pipeline,
    transaction,
    scan,
    publish_and_subscribe,
    errors,
    reconnect,
]


async def main(port, protocol):
    async with redis.asyncio.Redis(port=port, protocol=protocol) as client:
        for step in STEPS:
            await step(client)
            print(step.__name__)


asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
