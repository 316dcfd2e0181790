"""Buckets of keys and values."""

from nats.js.api import KeyValueConfig
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError, NoKeysError

from .jobs import raises, refused, until


async def bucket_is_made_found_and_deleted(client, streams):
    await raises(BucketNotFoundError, streams.key_value("FOUND_DELETED"))
    made = await streams.create_key_value(KeyValueConfig(bucket="FOUND_DELETED", history=5, ttl=3600, description="of all", max_value_size=100))
    await made.put("a", b"1")
    status = await (await streams.key_value("FOUND_DELETED")).status()
    assert (status.bucket, status.values, status.history, status.ttl) == ("FOUND_DELETED", 1, 5, 3600), status
    config = status.stream_info.config
    assert (config.name, config.subjects, config.discard) == ("KV_FOUND_DELETED", ["$KV.FOUND_DELETED.>"], "new"), config
    assert config.deny_delete and config.allow_rollup_hdrs and config.max_msg_size == 100, config
    await refused(made.put("a", b"x" * 200), 400, 10054, "message size exceeds maximum allowed")
    assert await streams.delete_key_value("FOUND_DELETED")
    await raises(BucketNotFoundError, streams.key_value("FOUND_DELETED"))


async def values_are_put_and_got(client, streams):
    for name, direct in [("LOOKED_UP", None), ("DIRECT", True)]:
        bucket = await streams.create_key_value(bucket=name, direct=direct, history=3)
        everything = bytes(range(256))
        assert [await bucket.put(key, everything) for key in ["a", "b.c", "d/e=f_g-h"]] == [1, 2, 3]
        for revision, key in enumerate(["a", "b.c", "d/e=f_g-h"], 1):
            entry = await bucket.get(key)
            assert (entry.key, entry.value, entry.revision) == (key, everything, revision), entry
        assert await bucket.put("a", b"new") == 4
        assert (await bucket.get("a")).value == b"new"
        assert (await bucket.get("a", revision=1)).value == everything
        await raises(KeyNotFoundError, bucket.get("a", revision=2))
        await raises(KeyNotFoundError, bucket.get("nothing"))
        assert await bucket.put("empty", b"") == 5
        assert not (await bucket.get("empty")).value


async def values_are_created_and_updated(client, streams):
    bucket = await streams.create_key_value(bucket="UPDATED")
    assert await bucket.create("a", b"1") == 1
    await raises(KeyWrongLastSequenceError, bucket.create("a", b"2"))
    assert await bucket.update("a", b"2", last=1) == 2
    error = await raises(KeyWrongLastSequenceError, bucket.update("a", b"3", last=1))
    assert "wrong last sequence: 2" in str(error), error
    assert await bucket.update("new", b"1", last=0) == 3
    assert (await bucket.get("a")).value == b"2"


async def values_are_deleted_and_purged(client, streams):
    bucket = await streams.create_key_value(bucket="DELETED_PURGED", history=10)
    for value in [b"1", b"2", b"3"]:
        await bucket.put("a", value)
        await bucket.put("b", value)
    await raises(KeyWrongLastSequenceError, bucket.update("a", b"x", last=1))
    await refused(bucket.delete("a", last=1), 400, 10071, "wrong last sequence: 5")
    assert await bucket.delete("a", last=5)
    assert await bucket.purge("b")
    for key in ["a", "b"]:
        assert (await raises(KeyNotFoundError, bucket.get(key))).op in ("DEL", "PURGE")
    assert [(e.operation, e.revision) for e in await bucket.history("a")] == [(None, 1), (None, 3), (None, 5), ("DEL", 7)]
    assert [(e.operation, e.revision) for e in await bucket.history("b")] == [("PURGE", 8)]
    assert await bucket.create("a", b"again") == 9
    assert (await bucket.get("a")).value == b"again"
    await bucket.delete("a")
    assert await bucket.purge_deletes(olderthan=-1)
    assert (await bucket.status()).values == 0


async def histories_are_bounded(client, streams):
    bucket = await streams.create_key_value(bucket="HISTORIES_BOUNDED", history=3)
    for number in range(10):
        await bucket.put("a", b"%d" % number)
        await bucket.put("b", b"%d" % number)
    assert [(entry.value, entry.revision, entry.delta) for entry in await bucket.history("a")] == [(b"7", 15, 2), (b"8", 17, 1), (b"9", 19, 0)]
    await raises(NoKeysError, bucket.history("nothing"))


async def keys_are_listed(client, streams):
    bucket = await streams.create_key_value(bucket="LISTED", history=2)
    await raises(NoKeysError, bucket.keys())
    names = [f"key.{number:04}" for number in range(1000)]
    for name in names:
        await bucket.put(name, b"x" * 100)
    await bucket.put(names[7], b"again")
    await bucket.delete(names[3])
    assert sorted(await bucket.keys()) == names[:3] + names[4:]
    assert await bucket.keys(filters=["key.000"]) and set(await bucket.keys(filters=["key.000"])) == set(names[:10]) - {names[3]}


async def changes_are_watched(client, streams):
    bucket = await streams.create_key_value(bucket="WATCHED", history=3)
    for key, value in [("a", b"1"), ("b", b"1"), ("a", b"2")]:
        await bucket.put(key, value)
    watcher = await bucket.watchall()

    async def update():
        entry = await watcher.updates(timeout=60)
        return entry and (entry.key, entry.value, entry.operation, entry.revision)

    assert [await update() for _ in range(3)] == [("b", b"1", None, 2), ("a", b"2", None, 3), None]
    await bucket.put("c.d", b"1")
    await bucket.delete("a")
    await bucket.purge("b")
    assert await update() == ("c.d", b"1", None, 4)
    assert await update() == ("a", b"", "DEL", 5)
    assert await update() == ("b", b"", "PURGE", 6)
    await watcher.stop()


async def some_changes_are_watched(client, streams):
    bucket = await streams.create_key_value(bucket="CHANGES_WATCHED", history=3)
    for key, value in [("a.1", b"1"), ("b.1", b"1"), ("a.2", b"1"), ("a.1", b"2")]:
        await bucket.put(key, value)
    await bucket.delete("a.2")

    async def first_of(watcher):
        found = []
        while entry := await watcher.updates(timeout=60):
            found.append((entry.key, entry.revision, entry.value))
        await watcher.stop()
        return found

    assert await first_of(await bucket.watch("a.*", ignore_deletes=True)) == [("a.1", 4, b"2")]
    assert await first_of(await bucket.watch("a.1", include_history=True)) == [("a.1", 1, b"1"), ("a.1", 4, b"2")]
    assert await first_of(await bucket.watch("nothing")) == []
    assert await first_of(await bucket.watch("b.*", meta_only=True)) == [("b.1", 2, b"")]


async def values_end_in_time(client, streams):
    bucket = await streams.create_key_value(bucket="TIME", limit_marker_ttl=60)
    await bucket.put("stays", b"1")
    watcher = await bucket.watchall()
    assert (await watcher.updates()).key == "stays" and await watcher.updates() is None
    assert await bucket.create("goes", b"2", msg_ttl=1) == 2
    entry = await watcher.updates(timeout=60)
    assert (entry.key, entry.value, entry.operation) == ("goes", b"2", None), entry
    entry = await watcher.updates(timeout=60)
    assert (entry.key, entry.operation, entry.revision) == ("goes", "PURGE", 3), entry
    assert (await bucket.get("stays")).value == b"1"
    assert await bucket.keys() == ["stays"]
    await watcher.stop()


async def bucket_ages(client, streams):
    bucket = await streams.create_key_value(bucket="AGES", ttl=0.3)
    await bucket.put("a", b"1")

    async def is_gone():
        try:
            await bucket.get("a")
        except KeyNotFoundError:
            return True

    await until(is_gone)
    assert await bucket.create("a", b"2") == 2


JOBS = [
    bucket_is_made_found_and_deleted,
    values_are_put_and_got,
    values_are_created_and_updated,
    values_are_deleted_and_purged,
    histories_are_bounded,
    keys_are_listed,
    changes_are_watched,
    some_changes_are_watched,
    values_end_in_time,
    bucket_ages,
]
