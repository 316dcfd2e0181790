"""Streams: made, changed, listed, told about, emptied and deleted."""

from nats.js.api import (
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamConsumerLimits,
)
from nats.js.errors import NotFoundError

from .jobs import publish_numbers, raises, refused


async def account_tells_of_streams(client, streams):
    before = await streams.account_info()
    await streams.add_stream(name="STREAMS", subjects=["orders.>"])
    await streams.publish("orders.1", b"hello")
    after = await streams.account_info()
    assert (before.streams, after.streams) == (0, 1), (before, after)
    assert (after.limits.max_streams, after.limits.max_memory, after.limits.max_storage) == (-1, -1, -1), after
    assert after.storage > 0 and after.api.level >= 1, after


async def stream_is_made_with_all_it_was_asked(client, streams):
    asked = StreamConfig(
        name="ASKED",
        description="what is ordered",
        subjects=["orders.*", "returns.>"],
        retention=RetentionPolicy.LIMITS,
        max_consumers=10,
        max_msgs=1000,
        max_bytes=1 << 20,
        max_age=3600,
        max_msgs_per_subject=7,
        max_msg_size=1 << 16,
        discard=DiscardPolicy.NEW,
        storage=StorageType.FILE,
        num_replicas=1,
        duplicate_window=30,
        allow_rollup_hdrs=True,
        allow_direct=True,
        deny_delete=True,
        metadata={"owner": "sales"},
        consumer_limits=StreamConsumerLimits(max_ack_pending=50, inactive_threshold=60),
    )
    made = await streams.add_stream(asked)
    for name, value in vars(asked).items():
        if name != "metadata" and value is not None:
            assert getattr(made.config, name) == value, (name, getattr(made.config, name))
    assert made.config.metadata["owner"] == "sales"
    assert (made.state.messages, made.state.first_seq, made.state.last_seq, made.state.consumer_count) == (0, 0, 0, 0)
    again = await streams.add_stream(asked)
    assert again.config == made.config and again.created == made.created


async def stream_has_defaults(client, streams):
    made = (await streams.add_stream(name="DEFAULTS")).config
    assert made.subjects == ["DEFAULTS"]
    assert (made.retention, made.storage, made.discard) == ("limits", "file", "old"), made
    limits = [made.max_msgs, made.max_bytes, made.max_msg_size, made.max_consumers, made.max_msgs_per_subject]
    assert limits == [-1] * 5 and made.max_age == 0 and made.num_replicas == 1, made
    assert made.duplicate_window == 120, made


async def stream_is_changed(client, streams):
    made = await streams.add_stream(name="STREAM_CHANGED", subjects=["orders.>"])
    await publish_numbers(streams, "orders.1", 10)
    changed = await streams.update_stream(made.config, subjects=["orders.>", "returns.>"], max_msgs=4, description="fewer")
    assert changed.config.subjects == ["orders.>", "returns.>"] and changed.config.max_msgs == 4
    info = await streams.stream_info("STREAM_CHANGED")
    assert (info.state.messages, info.state.first_seq, info.state.last_seq) == (4, 7, 10), info.state
    assert info.config.description == "fewer" and info.created == made.created
    assert (await streams.publish("returns.1", b"back")).seq == 11


async def streams_are_refused(client, streams):
    await streams.add_stream(name="REFUSED", subjects=["orders.>"])
    await refused(streams.add_stream(name="REFUSED", subjects=["other"]), 400, 10058, "already in use")
    await refused(streams.add_stream(name="OTHER", subjects=["orders.new"]), 400, 10065, "overlap")
    await refused(streams.update_stream(name="REFUSED", subjects=["orders.>"], storage=StorageType.MEMORY), 500, 10052, "storage")
    await refused(streams.update_stream(name="NOBODY"), 404, 10059, "stream not found")
    await refused(streams.stream_info("NOBODY"), 404, 10059, "stream not found")
    await refused(streams.delete_stream("NOBODY"), 404, 10059, "stream not found")
    await refused(streams.purge_stream("NOBODY"), 404, 10059, "stream not found")
    await refused(streams.add_stream(name="MANY", num_replicas=3), 500, 10074, "replicas > 1 not supported")


async def streams_are_listed_and_found(client, streams):
    names = [f"LIST{number:03}" for number in range(300)]
    for name in names:
        await streams.add_stream(name=name, subjects=[f"{name}.>"], storage=StorageType.MEMORY)
    first = await streams.streams_info_iterator()
    rest = await streams.streams_info_iterator(offset=256)
    first, rest = [[info.config.name for info in part] for part in (first, rest)]
    assert (first, rest) == (names[:256], names[256:]), (len(first), len(rest))
    assert await streams.find_stream_name_by_subject("LIST077.some.thing") == "LIST077"
    await raises(NotFoundError, streams.find_stream_name_by_subject("nowhere"))
    for name in names:
        await streams.delete_stream(name)


async def info_counts_subjects(client, streams):
    await streams.add_stream(name="SUBJECTS", subjects=["orders.>"])
    for subject, count in [("orders.new", 3), ("orders.old", 2), ("orders.old.gone", 1)]:
        await publish_numbers(streams, subject, count)
    info = await streams.stream_info("SUBJECTS", subjects_filter=">")
    assert info.state.subjects == {"orders.new": 3, "orders.old": 2, "orders.old.gone": 1}, info.state
    info = await streams.stream_info("SUBJECTS", subjects_filter="orders.*")
    assert info.state.subjects == {"orders.new": 3, "orders.old": 2}, info.state
    info = await streams.stream_info("SUBJECTS")
    assert info.state.subjects is None and info.state.messages == 6


async def stream_is_purged(client, streams):
    async def state():
        found = (await streams.stream_info("PURGED")).state
        return found.messages, found.first_seq, found.last_seq

    await streams.add_stream(name="PURGED", subjects=["orders.*"])
    for _ in range(10):
        await streams.publish("orders.a", b"a")
        await streams.publish("orders.b", b"b")
    assert await streams.purge_stream("PURGED", subject="orders.a", keep=2)
    assert await state() == (12, 2, 20)
    assert await streams.purge_stream("PURGED", seq=9)
    assert await state() == (8, 10, 20)
    assert await streams.purge_stream("PURGED", subject="orders.b")
    assert await state() == (2, 17, 20)
    assert await streams.purge_stream("PURGED")
    assert await state() == (0, 21, 20)
    assert (await streams.publish("orders.a", b"again")).seq == 21


async def messages_are_got(client, streams):
    await streams.add_stream(name="GOT", subjects=["orders.*"])
    await streams.publish("orders.a", b"one", headers={"Kind": "first"})
    await streams.publish("orders.b", b"two")
    await streams.publish("orders.a", b"")
    one = await streams.get_msg("GOT", 1)
    assert (one.subject, one.seq, one.data, one.headers) == ("orders.a", 1, b"one", {"Kind": "first"}), one
    last = await streams.get_last_msg("GOT", "orders.a")
    assert (last.subject, last.seq, last.data or b"") == ("orders.a", 3, b""), last
    following = await streams.get_msg("GOT", seq=2, subject="orders.*", next=True)
    assert (following.subject, following.seq, following.data) == ("orders.b", 2, b"two"), following
    await refused(streams.get_msg("GOT", 9), 404, 10037, "no message found")
    await refused(streams.get_last_msg("GOT", "orders.c"), 404, 10037, "no message found")


async def messages_are_got_directly(client, streams):
    await streams.add_stream(name="DIRECTLY", subjects=["orders.*"], allow_direct=True)
    await streams.publish("orders.a", b"one", headers={"Kind": "first"})
    await streams.publish("orders.b", b"two")
    await streams.publish("orders.a", b"")
    one = await streams.get_msg("DIRECTLY", 1, direct=True)
    assert (one.subject, one.seq, one.data, one.headers["Kind"]) == ("orders.a", 1, b"one", "first"), one
    last = await streams.get_msg("DIRECTLY", subject="orders.a", direct=True)
    assert (last.subject, last.seq, last.data or b"") == ("orders.a", 3, b""), last
    following = await streams.get_msg("DIRECTLY", seq=2, subject="orders.a", direct=True, next=True)
    assert (following.subject, following.seq) == ("orders.a", 3), following
    await raises(NotFoundError, streams.get_msg("DIRECTLY", 9, direct=True))


async def messages_are_deleted(client, streams):
    await streams.add_stream(name="MESSAGES_DELETED", subjects=["orders"])
    await publish_numbers(streams, "orders", 5)
    assert await streams.delete_msg("MESSAGES_DELETED", 3)
    await refused(streams.get_msg("MESSAGES_DELETED", 3), 404, 10037, "no message found")
    await refused(streams.delete_msg("MESSAGES_DELETED", 3), 400, 10043, "sequence 3 not found")
    assert await streams.delete_msg("MESSAGES_DELETED", 1)
    state = (await streams.stream_info("MESSAGES_DELETED")).state
    assert (state.messages, state.first_seq, state.last_seq, state.num_deleted) == (3, 2, 5, 1), state
    following = await streams.get_msg("MESSAGES_DELETED", seq=3, subject="orders", next=True)
    assert (following.seq, following.data) == (4, b"3"), following


JOBS = [
    account_tells_of_streams,
    stream_is_made_with_all_it_was_asked,
    stream_has_defaults,
    stream_is_changed,
    streams_are_refused,
    streams_are_listed_and_found,
    info_counts_subjects,
    stream_is_purged,
    messages_are_got,
    messages_are_got_directly,
    messages_are_deleted,
]
