"""Publishing into streams: acknowledgements, ids, expectations, limits, lifetimes."""

import asyncio

from nats.js.api import DiscardPolicy, Header, RePublish
from nats.js.errors import APIError, NoStreamResponseError

from .jobs import numbers, publish_numbers, raises, refused, until


async def publishes_are_acknowledged_in_order(client, streams):
    await streams.add_stream(name="ORDER", subjects=["orders.>"])
    acknowledged = await streams.publish("orders.1", b"first")
    assert (acknowledged.stream, acknowledged.seq, acknowledged.duplicate) == ("ORDER", 1, None), acknowledged
    futures = [await streams.publish_async("orders.2", payload) for payload in numbers(1000)]
    sequences = [(await future).seq for future in futures]
    assert sequences == list(range(2, 1002))
    await streams.publish_async_completed()
    assert (await streams.get_msg("ORDER", 501)).data == b"499"


async def plain_publishes_are_stored(client, streams):
    everything = bytes(range(256)) * 16
    await streams.add_stream(name="STORED", subjects=["orders.>"])
    listener = await client.subscribe("orders.>")
    await client.publish("orders.1", everything)
    await client.publish("orders.2", b"", headers={"Kind": "empty"})
    await client.publish("elsewhere", b"not stored")
    assert [(await listener.next_msg()).data for _ in range(2)] == [everything, b""]
    await until(lambda: has_messages(streams, "STORED", 2))
    assert (await streams.get_msg("STORED", 1)).data == everything
    second = await streams.get_msg("STORED", 2)
    assert (second.subject, second.headers) == ("orders.2", {"Kind": "empty"}), second
    await listener.unsubscribe()


async def has_messages(streams, name, count):
    return (await streams.stream_info(name)).state.messages == count


async def unanswered_burst_is_stored(client, streams):
    await streams.add_stream(name="BURST_STORED", subjects=["orders"])
    for payload in numbers(20_000):
        await client.publish("orders", payload)
    last = await streams.publish("orders", b"last")
    assert last.seq == 20_001, last
    for sequence in [1, 10_000, 20_000]:
        assert (await streams.get_msg("BURST_STORED", sequence)).data == b"%d" % (sequence - 1)


async def nobody_stores_it(client, streams):
    await raises(NoStreamResponseError, streams.publish("nowhere", b"?"))


async def ids_are_stored_once(client, streams):
    await streams.add_stream(name="ONCE", subjects=["orders.>"])

    async def publish(subject, name):
        found = await streams.publish(subject, b"x", headers={Header.MSG_ID: name})
        return found.seq, bool(found.duplicate)

    assert await publish("orders.1", "a") == (1, False)
    assert await publish("orders.1", "b") == (2, False)
    assert await publish("orders.1", "a") == (1, True)
    assert await publish("orders.2", "b") == (2, True)
    assert (await streams.stream_info("ONCE")).state.messages == 2
    assert await publish("orders.1", "c") == (3, False)


async def ids_are_forgotten_in_time(client, streams):
    await streams.add_stream(name="FORGOTTEN_TIME", subjects=["orders"], duplicate_window=0.2)

    async def publish():
        return await streams.publish("orders", b"x", headers={Header.MSG_ID: "a"})

    assert not (await publish()).duplicate

    async def is_accepted_again():
        return not (await publish()).duplicate

    await until(is_accepted_again)
    assert (await streams.stream_info("FORGOTTEN_TIME")).state.messages == 2


async def expectations_are_checked(client, streams):
    await streams.add_stream(name="CHECKED", subjects=["orders.>"])
    wrong = [
        ({Header.EXPECTED_STREAM: "OTHER"}, 10060, "expected stream does not match"),
        ({Header.EXPECTED_LAST_SEQUENCE: "9"}, 10071, "wrong last sequence: 2"),
        ({Header.EXPECTED_LAST_SUBJECT_SEQUENCE: "2"}, 10071, "wrong last sequence: 1"),
        ({Header.EXPECTED_LAST_SUBJECT_SEQUENCE: "0"}, 10071, "wrong last sequence: 1"),
        ({Header.EXPECTED_LAST_MSG_ID: "x"}, 10070, "wrong last msg ID: b"),
    ]
    right = [
        {Header.EXPECTED_STREAM: "CHECKED"},
        {Header.EXPECTED_LAST_SEQUENCE: "3"},
        {Header.EXPECTED_LAST_SUBJECT_SEQUENCE: "4"},
    ]
    await streams.publish("orders.1", b"1", headers={Header.EXPECTED_LAST_SUBJECT_SEQUENCE: "0"})
    await streams.publish("orders.2", b"2", headers={Header.MSG_ID: "b"})
    for headers, err_code, text in wrong:
        await refused(streams.publish("orders.1", b"x", headers=headers), 400, err_code, text)
    for number, headers in enumerate(right):
        assert (await streams.publish("orders.1", b"x", headers=headers)).seq == number + 3
    await refused(streams.publish("orders.1", b"x", stream="OTHER"), 400, 10060, "expected stream does not match")
    assert (await streams.stream_info("CHECKED")).state.last_seq == 5


async def old_messages_make_room(client, streams):
    async def left(name, **limit):
        await streams.add_stream(name=name, subjects=["orders.*"], **limit)
        for number in range(10):
            await streams.publish(f"orders.{number % 2}", b"0123456789")
        state = (await streams.stream_info(name)).state
        await streams.delete_stream(name)
        return state.messages, state.first_seq, state.last_seq

    assert await left("COUNTED", max_msgs=3) == (3, 8, 10)
    assert await left("EACH", max_msgs_per_subject=2) == (4, 7, 10)
    kept, first, last = await left("WEIGHED", max_bytes=200)
    assert 0 < kept < 10 and (first, last) == (11 - kept, 10), (kept, first, last)


async def new_messages_are_refused(client, streams):
    await streams.add_stream(name="COUNT", subjects=["count"], max_msgs=2, discard=DiscardPolicy.NEW)
    await publish_numbers(streams, "count", 2)
    await refused(streams.publish("count", b"x"), 503, 10077, "maximum messages exceeded")
    await streams.add_stream(name="BYTES", subjects=["bytes"], max_bytes=100, discard=DiscardPolicy.NEW)
    await refused(streams.publish("bytes", b"x" * 100), 503, 10077, "maximum bytes exceeded")
    await streams.add_stream(
        name="SUBJECT",
        subjects=["subject.*"],
        max_msgs_per_subject=1,
        discard=DiscardPolicy.NEW,
        discard_new_per_subject=True,
    )
    await streams.publish("subject.1", b"x")
    await refused(streams.publish("subject.1", b"x"), 503, 10077, "maximum messages per subject exceeded")
    await streams.publish("subject.2", b"x")
    await streams.add_stream(name="SIZE", subjects=["size"], max_msg_size=10)
    await refused(streams.publish("size", b"x" * 11), 400, 10054, "message size exceeds maximum allowed")
    assert [(await streams.stream_info(name)).state.messages for name in ["COUNT", "BYTES", "SUBJECT", "SIZE"]] == [2, 0, 2, 0]


async def histories_roll_where_new_ones_are_refused(client, streams):
    await streams.add_stream(name="KEYS", subjects=["keys.*"], max_msgs=4, max_msgs_per_subject=2, discard=DiscardPolicy.NEW)
    await publish_numbers(streams, "keys.a", 5)
    await publish_numbers(streams, "keys.b", 2)
    await refused(streams.publish("keys.c", b"x"), 503, 10077, "maximum messages exceeded")
    info = await streams.stream_info("KEYS", subjects_filter=">")
    assert info.state.subjects == {"keys.a": 2, "keys.b": 2}, info.state


async def rollups_replace(client, streams):
    await streams.add_stream(name="REPLACE", subjects=["orders.*"], allow_rollup_hdrs=True)
    for subject in ["orders.a", "orders.b"]:
        await publish_numbers(streams, subject, 3)
    await streams.publish("orders.a", b"sum", headers={Header.ROLLUP: "sub"})
    info = await streams.stream_info("REPLACE", subjects_filter=">")
    assert info.state.subjects == {"orders.a": 1, "orders.b": 3}, info.state
    await streams.publish("orders.b", b"all", headers={Header.ROLLUP: "all"})
    info = await streams.stream_info("REPLACE", subjects_filter=">")
    assert (info.state.subjects, info.state.first_seq) == ({"orders.b": 1}, 8), info.state
    await streams.add_stream(name="OTHER", subjects=["other"])
    await refused(streams.publish("other", b"x", headers={Header.ROLLUP: "sub"}), 500, 10111, "rollup not permitted")


async def ages_end_messages(client, streams):
    await streams.add_stream(name="AGES_MESSAGES", subjects=["orders"], max_age=0.3)
    await publish_numbers(streams, "orders", 5)
    await until(lambda: has_messages(streams, "AGES_MESSAGES", 0))
    state = (await streams.stream_info("AGES_MESSAGES")).state
    assert (state.first_seq, state.last_seq) == (6, 5), state


async def lifetimes_end_messages(client, streams):
    await streams.add_stream(name="LIFETIMES_MESSAGES", subjects=["orders.*"], allow_msg_ttl=True)
    await streams.publish("orders.stays", b"1")
    await streams.publish("orders.goes", b"2", msg_ttl=1)
    await streams.publish("orders.later", b"3", msg_ttl=3600)
    await until(lambda: has_messages(streams, "LIFETIMES_MESSAGES", 2))
    await refused(streams.get_msg("LIFETIMES_MESSAGES", 2), 404, 10037, "no message found")
    assert [(await streams.get_msg("LIFETIMES_MESSAGES", sequence)).data for sequence in (1, 3)] == [b"1", b"3"]
    await streams.add_stream(name="OTHER", subjects=["other"])
    await refused(streams.publish("other", b"x", msg_ttl=5), 400, 10166, "per-message TTL is disabled")
    await refused(streams.publish("orders.1", b"x", headers={"Nats-TTL": "x"}), 400, 10165, "invalid per-message TTL")


async def markers_tell_of_the_end(client, streams):
    await streams.add_stream(name="TELL", subjects=["orders.*"], allow_msg_ttl=True, subject_delete_marker_ttl=1)
    await streams.publish("orders.1", b"1", msg_ttl=1)

    async def marker():
        found = await streams.get_last_msg("TELL", "orders.1")
        return found if found.seq == 2 else None

    found = await until(marker)
    assert found.headers["Nats-Marker-Reason"] == "MaxAge" and found.headers["Nats-TTL"] == "1s", found.headers
    assert not found.data, found
    await until(lambda: has_messages(streams, "TELL", 0))


async def lifetimes_reach_over_those_of_markers(client, streams):
    marked = {"allow_msg_ttl": True, "subject_delete_marker_ttl": 60}
    await streams.add_stream(name="MARKERS", subjects=["orders.*"], **marked)
    await streams.add_stream(name="KEYS", subjects=["keys.*"], max_msgs_per_subject=1, **marked)
    for subject, lifetime in [("orders.1", 5), ("orders.2", 90), ("keys.1", 5)]:
        await streams.publish(subject, b"x", msg_ttl=lifetime)
    found = [await streams.get_msg(*place) for place in [("MARKERS", 1), ("MARKERS", 2), ("KEYS", 1)]]
    # Where a subject has one message only there is no older marker that could outlast it.
    assert [message.headers["Nats-TTL"] for message in found] == ["60", "90", "5"], found


async def messages_are_published_again(client, streams):
    again = await client.subscribe("again.>")
    await client.flush()
    await streams.add_stream(name="PUBLISHED_AGAIN", subjects=["orders.*"], republish=RePublish(src="orders.*", dest="again.{{wildcard(1)}}"))
    await publish_numbers(streams, "orders.a", 3)
    received = [await again.next_msg() for _ in range(3)]
    assert [message.data for message in received] == numbers(3)
    assert {message.subject for message in received} == {"again.a"}
    told = [(m.headers["Nats-Stream"], m.headers["Nats-Subject"], m.headers["Nats-Sequence"], m.headers["Nats-Last-Sequence"]) for m in received]
    assert told == [("PUBLISHED_AGAIN", "orders.a", str(s), str(s - 1 if s > 1 else 0)) for s in (1, 2, 3)], told
    await again.unsubscribe()


async def sealed_stream_takes_nothing(client, streams):
    made = await streams.add_stream(name="TAKES_NOTHING", subjects=["orders"])
    await streams.publish("orders", b"kept")
    sealed = await streams.update_stream(made.config, sealed=True)
    assert (sealed.config.sealed, sealed.config.deny_delete, sealed.config.deny_purge) == (True, True, True), sealed.config
    await refused(streams.publish("orders", b"x"), 400, 10109, "sealed")
    await raises(APIError, streams.purge_stream("TAKES_NOTHING"))
    await raises(APIError, streams.delete_msg("TAKES_NOTHING", 1))
    assert (await streams.get_msg("TAKES_NOTHING", 1)).data == b"kept"


async def stream_without_acknowledgements(client, streams):
    await streams.add_stream(name="ACKNOWLEDGEMENTS", subjects=["orders"], no_ack=True)
    inbox = client.new_inbox()
    replies = await client.subscribe(inbox)
    await client.publish("orders", b"x", reply=inbox)
    await until(lambda: has_messages(streams, "ACKNOWLEDGEMENTS", 1))
    await client.flush()
    assert replies.pending_msgs == 0
    await replies.unsubscribe()


JOBS = [
    publishes_are_acknowledged_in_order,
    plain_publishes_are_stored,
    unanswered_burst_is_stored,
    nobody_stores_it,
    ids_are_stored_once,
    ids_are_forgotten_in_time,
    expectations_are_checked,
    old_messages_make_room,
    new_messages_are_refused,
    histories_roll_where_new_ones_are_refused,
    rollups_replace,
    ages_end_messages,
    lifetimes_end_messages,
    markers_tell_of_the_end,
    lifetimes_reach_over_those_of_markers,
    messages_are_published_again,
    sealed_stream_takes_nothing,
    stream_without_acknowledgements,
]
