"""Consumers: pulled, pushed, ordered, paused, and every way of acknowledging."""

import asyncio
import datetime
import json

from nats.errors import TimeoutError as NoMessage
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy
from nats.js.errors import NotFoundError

from .jobs import HANG_GUARD, numbers, publish_numbers, raises, refused, until


async def orders(streams, name, count=0, **definition):
    await streams.add_stream(name=name, subjects=["orders.*"], **definition)
    await publish_numbers(streams, "orders.1", count)


async def fetched(subscription, count):
    """So many messages, by as many fetches as it takes."""
    messages = []
    while len(messages) < count:
        messages += await subscription.fetch(count - len(messages), timeout=HANG_GUARD)
    return messages


async def nothing_comes(subscription):
    """A fetch that ends without a message."""
    await raises(NoMessage, subscription.fetch(1, timeout=0.1))


def payloads(messages):
    return [message.data for message in messages]


async def messages_are_fetched_and_acknowledged(client, streams):
    await orders(streams, "ACKNOWLEDGED", 100)
    subscription = await streams.pull_subscribe("orders.*", "workers")
    first, rest = await fetched(subscription, 40), await fetched(subscription, 60)
    assert payloads(first + rest) == numbers(100)
    about = first[7].metadata
    assert (about.stream, about.consumer, about.num_delivered, about.num_pending) == ("ACKNOWLEDGED", "workers", 1, 92), about
    assert (about.sequence.stream, about.sequence.consumer) == (8, 8), about
    for message in first:
        await message.ack()
    for message in rest[:-1]:
        await message.ack()
    await rest[-1].ack_sync(timeout=HANG_GUARD)
    info = await subscription.consumer_info()
    found = (info.num_pending, info.num_ack_pending, info.num_redelivered, info.num_waiting)
    assert found == (0, 0, 0, 0), info
    assert (info.ack_floor.stream_seq, info.ack_floor.consumer_seq, info.delivered.stream_seq) == (100, 100, 100), info
    await nothing_comes(subscription)


async def fetch_waits_for_messages(client, streams):
    await orders(streams, "MESSAGES")
    subscription = await streams.pull_subscribe("orders.*", "workers")
    fetching = asyncio.create_task(subscription.fetch(1, timeout=HANG_GUARD))
    await until(lambda: has_waiting(subscription, 1))
    await streams.publish("orders.1", b"late")
    message = (await fetching)[0]
    assert message.data == b"late"
    await message.ack_sync(timeout=HANG_GUARD)
    await until(lambda: has_waiting(subscription, 0))


async def has_waiting(subscription, count):
    return (await subscription.consumer_info()).num_waiting == count


async def short_stream_is_fetched(client, streams):
    await orders(streams, "FETCHED", 5)
    subscription = await streams.pull_subscribe("orders.*", "workers")
    assert payloads(await subscription.fetch(10, timeout=0.5, heartbeat=0.1)) == numbers(5)


async def refused_messages_come_again(client, streams):
    await orders(streams, "AGAIN", 3)
    subscription = await streams.pull_subscribe("orders.*", "workers")
    first, second, third = await fetched(subscription, 3)
    await first.ack()
    await second.nak()
    await third.ack()
    again = (await fetched(subscription, 1))[0]
    assert (again.data, again.metadata.num_delivered, again.metadata.sequence.stream) == (b"1", 2, 2)
    assert again.metadata.sequence.consumer == 4
    await again.nak(delay=0.2)
    await nothing_comes(subscription)
    later = (await fetched(subscription, 1))[0]
    assert (later.data, later.metadata.num_delivered) == (b"1", 3)
    await later.ack_sync(timeout=HANG_GUARD)
    info = await subscription.consumer_info()
    assert (info.ack_floor.stream_seq, info.num_ack_pending, info.num_redelivered) == (3, 0, 0), info


async def unacknowledged_messages_come_again(client, streams):
    await orders(streams, "MESSAGES_AGAIN", 2)
    config = ConsumerConfig(ack_wait=0.2)
    subscription = await streams.pull_subscribe("orders.*", "workers", config=config)
    first = await fetched(subscription, 2)
    await first[0].ack_sync(timeout=HANG_GUARD)
    again = (await fetched(subscription, 1))[0]
    assert (again.data, again.metadata.num_delivered) == (b"1", 2)
    await again.ack_sync(timeout=HANG_GUARD)


async def progress_keeps_messages(client, streams):
    await orders(streams, "KEEPS_MESSAGES", 1)
    subscription = await streams.pull_subscribe("orders.*", "workers", config=ConsumerConfig(ack_wait=1))
    message = (await fetched(subscription, 1))[0]
    for _ in range(6):
        await asyncio.sleep(0.25)
        await message.in_progress()
    await nothing_comes(subscription)
    info = await subscription.consumer_info()
    assert (info.num_ack_pending, info.num_redelivered) == (1, 0), info
    await message.ack_sync(timeout=HANG_GUARD)


async def given_up_messages_stay_away(client, streams):
    await orders(streams, "AWAY", 2)
    terminated = await client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.AWAY.workers")
    config = ConsumerConfig(ack_wait=0.2)
    subscription = await streams.pull_subscribe("orders.*", "workers", config=config)
    first, second = await fetched(subscription, 2)
    await first.term()
    await second.ack_sync(timeout=HANG_GUARD)
    told = json.loads((await terminated.next_msg(timeout=HANG_GUARD)).data)
    assert told["type"] == "io.nats.jetstream.advisory.v1.terminated", told
    assert (told["stream"], told["consumer"], told["stream_seq"], told["deliveries"]) == ("AWAY", "workers", 1, 1), told
    info = await subscription.consumer_info()
    assert (info.ack_floor.stream_seq, info.num_ack_pending) == (2, 0), info
    await terminated.unsubscribe()


async def deliveries_are_counted_to_their_end(client, streams):
    await orders(streams, "COUNTED", 1)
    exceeded = await client.subscribe("$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.COUNTED.workers")
    config = ConsumerConfig(max_deliver=3, ack_wait=HANG_GUARD)
    subscription = await streams.pull_subscribe("orders.*", "workers", config=config)
    for count in [1, 2, 3]:
        message = (await fetched(subscription, 1))[0]
        assert message.metadata.num_delivered == count
        await message.nak()
    await nothing_comes(subscription)
    told = json.loads((await exceeded.next_msg(timeout=HANG_GUARD)).data)
    assert told["type"] == "io.nats.jetstream.advisory.v1.max_deliver", told
    assert (told["stream"], told["consumer"], told["stream_seq"], told["deliveries"]) == ("COUNTED", "workers", 1, 3), told
    assert (await streams.stream_info("COUNTED")).state.messages == 1
    await exceeded.unsubscribe()


async def backoff_says_when(client, streams):
    await orders(streams, "WHEN", 1)
    config = ConsumerConfig(max_deliver=3, backoff=[0.1, 0.2, 0.3])
    subscription = await streams.pull_subscribe("orders.*", "workers", config=config)
    counts = [(await fetched(subscription, 1))[0].metadata.num_delivered for _ in range(3)]
    assert counts == [1, 2, 3]
    await nothing_comes(subscription)


async def pending_acknowledgements_are_bounded(client, streams):
    await orders(streams, "BOUNDED", 5)
    subscription = await streams.pull_subscribe("orders.*", "workers", config=ConsumerConfig(max_ack_pending=2))
    first, second = await fetched(subscription, 2)
    await nothing_comes(subscription)
    await first.ack()
    third = (await fetched(subscription, 1))[0]
    assert third.data == b"2"
    await nothing_comes(subscription)
    await second.ack()
    await third.ack()
    assert payloads(await fetched(subscription, 2)) == [b"3", b"4"]


async def one_acknowledges_all_before(client, streams):
    await orders(streams, "BEFORE", 10)
    subscription = await streams.pull_subscribe("orders.*", "workers", config=ConsumerConfig(ack_policy=AckPolicy.ALL))
    messages = await fetched(subscription, 10)
    await messages[6].ack_sync(timeout=HANG_GUARD)
    info = await subscription.consumer_info()
    assert (info.ack_floor.stream_seq, info.num_ack_pending) == (7, 3), info


async def consumers_start_where_they_are_told(client, streams):
    await streams.add_stream(name="WHERE", subjects=["orders.*"])
    for subject in ["a", "b", "a", "c", "b"]:
        await streams.publish(f"orders.{subject}", subject.encode())

    async def sequences(**config):
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, **config)
        subscription = await streams.pull_subscribe("orders.*", stream="WHERE", config=config)
        pending = (await subscription.consumer_info()).num_pending
        found = [message.metadata.sequence.stream for message in await fetched(subscription, pending)]
        await subscription.unsubscribe()
        return found

    assert await sequences() == [1, 2, 3, 4, 5]
    assert await sequences(deliver_policy=DeliverPolicy.LAST) == [5]
    assert await sequences(deliver_policy=DeliverPolicy.NEW) == []
    assert await sequences(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=3) == [3, 4, 5]
    assert await sequences(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT) == [3, 4, 5]
    # This library reads times to the microsecond.
    time = (await streams.get_msg("WHERE", 4)).time
    assert await sequences(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=time) == [4, 5]


async def consumers_filter(client, streams):
    await streams.add_stream(name="FILTER", subjects=["orders.>"])
    for number in range(12):
        await streams.publish(f"orders.{'abc'[number % 3]}.{number}", b"%d" % number)
    one = await streams.pull_subscribe("orders.a.*", "one")
    assert (await one.consumer_info()).num_pending == 4
    assert payloads(await fetched(one, 4)) == [b"0", b"3", b"6", b"9"]
    several = ConsumerConfig(filter_subjects=["orders.a.*", "orders.c.>"])
    several = await streams.pull_subscribe("", "several", stream="FILTER", config=several)
    assert (await several.consumer_info()).num_pending == 8
    assert payloads(await fetched(several, 8)) == [b"0", b"2", b"3", b"5", b"6", b"8", b"9", b"11"]


async def headers_alone_are_delivered(client, streams):
    await streams.add_stream(name="DELIVERED", subjects=["orders"])
    await streams.publish("orders", b"0123456789", headers={"Kind": "long"})
    subscription = await streams.pull_subscribe("orders", "workers", config=ConsumerConfig(headers_only=True))
    message = (await fetched(subscription, 1))[0]
    assert (message.data, message.headers["Nats-Msg-Size"], message.headers["Kind"]) == (b"", "10", "long"), message


async def consumers_are_listed_and_deleted(client, streams):
    await orders(streams, "DELETED", 3)
    for name in ["a", "b", "c"]:
        made = await streams.add_consumer("DELETED", durable_name=name, description=f"consumer {name}", metadata={"n": name})
        assert (made.name, made.stream_name, made.config.description, made.num_pending) == (name, "DELETED", f"consumer {name}", 3), made
    assert [info.name for info in await streams.consumers_info("DELETED")] == ["a", "b", "c"]
    assert await streams.delete_consumer("DELETED", "b")
    assert [info.name for info in await streams.consumers_info("DELETED")] == ["a", "c"]
    await refused(streams.consumer_info("DELETED", "b"), 404, 10014, "consumer not found")
    await refused(streams.delete_consumer("DELETED", "b"), 404, 10014, "consumer not found")
    await refused(streams.consumer_info("NOBODY", "b"), 404, 10059, "stream not found")
    assert (await streams.stream_info("DELETED")).state.consumer_count == 2


async def consumer_is_changed(client, streams):
    await orders(streams, "CHANGED", 3)
    made = await streams.add_consumer("CHANGED", durable_name="a", ack_wait=30, max_deliver=5)
    changed = await streams.add_consumer("CHANGED", config=made.config, ack_wait=10, description="quicker")
    assert (changed.config.ack_wait, changed.config.description, changed.created) == (10, "quicker", made.created), changed
    await refused(streams.add_consumer("CHANGED", config=made.config, ack_policy=AckPolicy.NONE), 500, 10012, "ack policy can not be updated")


async def deleted_consumer_ends_its_fetches(client, streams):
    await orders(streams, "FETCHES")
    subscription = await streams.pull_subscribe("orders.*", "workers")
    # A fetch of this library would wait for its deadline.
    inbox = client.new_inbox()
    statuses = await client.subscribe(inbox)
    await client.publish("$JS.API.CONSUMER.MSG.NEXT.FETCHES.workers", b'{"batch":1,"expires":60000000000}', reply=inbox)
    await until(lambda: has_waiting(subscription, 1))
    await streams.delete_consumer("FETCHES", "workers")
    headers = (await statuses.next_msg(timeout=HANG_GUARD)).headers
    assert (headers["Status"], headers["Description"]) == ("409", "Consumer Deleted"), headers
    await statuses.unsubscribe()


async def paused_consumer_delivers_nothing(client, streams):
    await orders(streams, "NOTHING", 2)
    subscription = await streams.pull_subscribe("orders.*", "workers")
    until_then = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    paused = await streams.pause_consumer("NOTHING", "workers", until_then.isoformat().replace("+00:00", "Z"))
    assert paused.paused, paused
    await nothing_comes(subscription)
    info = await subscription.consumer_info()
    assert info.paused and info.num_pending == 2, info
    assert not (await streams.resume_consumer("NOTHING", "workers")).paused
    assert payloads(await fetched(subscription, 2)) == numbers(2)


async def messages_are_pushed(client, streams):
    await orders(streams, "PUSHED", 50)
    received, all_there = [], asyncio.Event()

    async def receive(message):
        received.append(message.data)
        if len(received) == 100:
            all_there.set()

    subscription = await streams.subscribe("orders.*", durable="reader", cb=receive)
    for number in range(50, 100):
        await streams.publish("orders.1", b"%d" % number)
    await all_there.wait()
    assert received == numbers(100)

    async def is_settled():
        info = await subscription.consumer_info()
        return info if info.num_ack_pending == 0 else None

    info = await until(is_settled)
    assert (info.ack_floor.stream_seq, info.num_pending, info.push_bound) == (100, 0, True), info
    await subscription.unsubscribe()


async def pushed_messages_are_shared(client, streams):
    await orders(streams, "SHARED")
    members = [await streams.subscribe("orders.*", queue="workers") for _ in range(3)]
    await client.flush()
    await publish_numbers(streams, "orders.1", 300)

    async def are_all_there():
        return sum(member.pending_msgs for member in members) == 300

    await until(are_all_there)
    shares = [[await member.next_msg() for _ in range(member.pending_msgs)] for member in members]
    found = [int(message.data) for share in shares for message in share]
    assert sorted(found) == list(range(300)) and all(shares), [len(share) for share in shares]
    for message in (message for share in shares for message in share):
        await message.ack()
    for member in members:
        await member.unsubscribe()


async def idle_consumer_gives_signs_of_life(client, streams):
    await orders(streams, "LIFE", 1)
    inbox = client.new_inbox()
    listener = await client.subscribe(inbox)
    await streams.add_consumer("LIFE", deliver_subject=inbox, idle_heartbeat=0.1, flow_control=True, ack_policy=AckPolicy.NONE)
    assert (await listener.next_msg(timeout=HANG_GUARD)).data == b"0"
    for _ in range(3):
        beat = await listener.next_msg(timeout=HANG_GUARD)
        assert beat.headers["Status"] == "100" and beat.headers["Description"] == "Idle Heartbeat", beat.headers
        assert (beat.headers["Nats-Last-Consumer"], beat.headers["Nats-Last-Stream"]) == ("1", "1"), beat.headers
    await listener.unsubscribe()


async def ordered_consumer_reads_all(client, streams):
    payload = b"x" * 2000
    await streams.add_stream(name="READS", subjects=["orders"])
    futures = [await streams.publish_async("orders", payload + b"%d" % number) for number in range(3000)]
    for future in futures:
        await future
    subscription = await streams.subscribe("orders", ordered_consumer=True)
    received = [(await subscription.next_msg(timeout=HANG_GUARD)) for _ in range(3000)]
    assert [message.data[2000:] for message in received] == numbers(3000)
    assert [message.metadata.num_pending for message in received] == list(range(2999, -1, -1))
    await streams.publish("orders", b"live")
    assert (await subscription.next_msg(timeout=HANG_GUARD)).data == b"live"
    await subscription.unsubscribe()


async def unheard_consumer_ends(client, streams):
    await orders(streams, "CONSUMER", 1)
    subscription = await streams.subscribe("orders.*", inactive_threshold=0.2)
    assert (await subscription.next_msg(timeout=HANG_GUARD)).data == b"0"
    name = (await subscription.consumer_info()).name
    await subscription.unsubscribe()

    async def is_gone():
        try:
            await streams.consumer_info("CONSUMER", name)
        except NotFoundError:
            return True

    await until(is_gone)
    assert await streams.consumers_info("CONSUMER") == []


async def work_queue_keeps_what_is_to_do(client, streams):
    await orders(streams, "DO", 5, retention=RetentionPolicy.WORK_QUEUE)
    subscription = await streams.pull_subscribe("orders.*", "workers")
    await refused(streams.add_consumer("DO", durable_name="more"), 400, 10099, "multiple non-filtered consumers not allowed")
    await refused(streams.add_consumer("DO", name="none", ack_policy=AckPolicy.NONE), 400, 10084, "requires explicit ack")
    messages = await fetched(subscription, 5)
    for message in [messages[0], messages[2], messages[4]]:
        await message.ack_sync(timeout=HANG_GUARD)
    state = (await streams.stream_info("DO")).state
    assert (state.messages, state.first_seq, state.last_seq) == (2, 2, 5), state
    await messages[1].nak()
    again = (await fetched(subscription, 1))[0]
    assert again.data == b"1"
    await again.ack_sync(timeout=HANG_GUARD)
    await messages[3].ack_sync(timeout=HANG_GUARD)
    assert (await streams.stream_info("DO")).state.messages == 0


async def interest_keeps_what_is_wanted(client, streams):
    await orders(streams, "WANTED", 3, retention=RetentionPolicy.INTEREST)
    state = (await streams.stream_info("WANTED")).state
    assert (state.messages, state.last_seq) == (0, 3), state
    one = await streams.pull_subscribe("orders.*", "one")
    other = await streams.pull_subscribe("orders.2", "other")
    for subject in ["orders.1", "orders.2"]:
        await streams.publish(subject, subject.encode())
    first, second = await fetched(one, 2)
    await first.ack_sync(timeout=HANG_GUARD)
    await second.ack_sync(timeout=HANG_GUARD)
    state = (await streams.stream_info("WANTED")).state
    assert (state.messages, state.first_seq) == (1, 5), state
    await (await fetched(other, 1))[0].ack_sync(timeout=HANG_GUARD)
    assert (await streams.stream_info("WANTED")).state.messages == 0


JOBS = [
    messages_are_fetched_and_acknowledged,
    fetch_waits_for_messages,
    short_stream_is_fetched,
    refused_messages_come_again,
    unacknowledged_messages_come_again,
    progress_keeps_messages,
    given_up_messages_stay_away,
    deliveries_are_counted_to_their_end,
    backoff_says_when,
    pending_acknowledgements_are_bounded,
    one_acknowledges_all_before,
    consumers_start_where_they_are_told,
    consumers_filter,
    headers_alone_are_delivered,
    consumers_are_listed_and_deleted,
    consumer_is_changed,
    deleted_consumer_ends_its_fetches,
    paused_consumer_delivers_nothing,
    messages_are_pushed,
    pushed_messages_are_shared,
    idle_consumer_gives_signs_of_life,
    ordered_consumer_reads_all,
    unheard_consumer_ends,
    work_queue_keeps_what_is_to_do,
    interest_keeps_what_is_wanted,
]
