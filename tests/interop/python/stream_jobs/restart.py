"""What outlives the server."""

import asyncio

from nats.js.api import ConsumerConfig, Header, KeyValueConfig

from .jobs import HANG_GUARD, numbers, publish_numbers, until


async def everything_outlives_the_server(client, streams):
    await streams.add_stream(name="ORDERS", subjects=["orders"])
    await publish_numbers(streams, "orders", 100)
    await streams.publish("orders", b"100", headers={Header.MSG_ID: "last"})
    pulled = await streams.pull_subscribe("orders", "workers", config=ConsumerConfig(ack_wait=3600))
    messages = await pulled.fetch(60, timeout=HANG_GUARD)
    for message in messages[:49]:
        await message.ack()
    await messages[49].ack_sync(timeout=HANG_GUARD)
    bucket = await streams.create_key_value(KeyValueConfig(bucket="SETTINGS", history=5))
    await bucket.put("a", b"1")
    watcher = await bucket.watchall()
    assert (await watcher.updates(timeout=HANG_GUARD)).value == b"1" and await watcher.updates(timeout=HANG_GUARD) is None

    reconnects = client.stats["reconnects"]
    print("restart", flush=True)

    async def is_back():
        return client.stats["reconnects"] > reconnects and client.is_connected

    await until(is_back)
    info = await streams.stream_info("ORDERS")
    assert (info.state.messages, info.state.first_seq, info.state.last_seq) == (101, 1, 101), info.state
    assert [(await streams.get_msg("ORDERS", sequence)).data for sequence in range(1, 101)] == numbers(100)
    again = await streams.publish("orders", b"again", headers={Header.MSG_ID: "last"})
    assert (again.seq, again.duplicate) == (101, True), again
    consumer = await streams.consumer_info("ORDERS", "workers")
    found = (consumer.ack_floor.stream_seq, consumer.delivered.stream_seq, consumer.num_ack_pending, consumer.num_pending)
    assert found == (50, 60, 10, 41), consumer
    rest = []
    while len(rest) < 41:
        rest += await pulled.fetch(41 - len(rest), timeout=HANG_GUARD)
    assert [message.data for message in rest] == numbers(41, 60)
    await bucket.put("b", b"2")
    # The watch begins anew once it misses signs of life.
    entry = await watcher.updates(timeout=HANG_GUARD)
    assert (entry.key, entry.value, entry.revision) == ("b", b"2", 2), entry
    await watcher.stop()
    await asyncio.sleep(0)


JOBS = [everything_outlives_the_server]
