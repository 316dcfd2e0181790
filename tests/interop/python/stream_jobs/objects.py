"""Buckets of objects."""

import io

from nats.js.api import ObjectMeta, ObjectMetaOptions
from nats.js.errors import APIError, BucketNotFoundError, NotFoundError, ObjectNotFoundError

from .jobs import raises

# Several chunks, the last of them short.
LARGE = bytes(range(256)) * 2000 + b"the end"


async def objects_are_put_and_got(client, streams):
    bucket = await streams.create_object_store("OBJECTS_PUT_GOT")
    info = await bucket.put("large.bin", LARGE)
    assert (info.size, info.chunks, info.bucket) == (len(LARGE), 4, "OBJECTS_PUT_GOT"), info
    assert (await bucket.put("text", "words")).size == 5
    await bucket.put("nothing", b"")
    assert (await bucket.get("large.bin")).data == LARGE
    assert (await bucket.get("text")).data == b"words"
    assert (await bucket.get("nothing")).data == b""
    written = io.BytesIO()
    await bucket.get("large.bin", writeinto=written)
    assert written.getvalue() == LARGE
    await raises(ObjectNotFoundError, bucket.get("none"))


async def objects_are_described(client, streams):
    bucket = await streams.create_object_store("DESCRIBED", description="of all")
    meta = ObjectMeta(description="a text", headers={"Kind": "short"}, options=ObjectMetaOptions(max_chunk_size=3))
    await bucket.put("text", b"0123456789", meta=meta)
    info = await bucket.get_info("text")
    assert (info.name, info.description, info.size, info.chunks) == ("text", "a text", 10, 4), info
    assert info.options.max_chunk_size == 3 and info.digest.startswith("SHA-256="), info
    status = await bucket.status()
    assert (status.bucket, status.description, status.sealed, status.size > 10) == ("DESCRIBED", "of all", False, True), status
    assert (await (await streams.object_store("DESCRIBED")).get("text")).data == b"0123456789"


async def objects_are_replaced_and_deleted(client, streams):
    bucket = await streams.create_object_store("REPLACED_DELETED")
    await bucket.put("a", LARGE)
    await bucket.put("a", b"short")
    assert (await bucket.get("a")).data == b"short"
    assert (await bucket.status()).stream_info.state.messages == 2
    await bucket.delete("a")
    await raises(ObjectNotFoundError, bucket.get("a"))
    assert (await bucket.get_info("a", show_deleted=True)).deleted
    assert (await bucket.status()).stream_info.state.messages == 1


async def objects_are_listed(client, streams):
    bucket = await streams.create_object_store("OBJECTS_LISTED")
    await raises(NotFoundError, bucket.list())
    for name in ["a", "b", "a name with blanks.txt"]:
        await bucket.put(name, name.encode())
    await bucket.delete("b")
    assert sorted(info.name for info in await bucket.list(ignore_deletes=True)) == ["a", "a name with blanks.txt"]
    assert {info.name: bool(info.deleted) for info in await bucket.list()} == {"a": False, "a name with blanks.txt": False, "b": True}


async def objects_are_watched(client, streams):
    bucket = await streams.create_object_store("OBJECTS_WATCHED")
    await bucket.put("a", b"1")
    watcher = await bucket.watch()
    assert (await watcher.updates(timeout=60)).name == "a"
    assert await watcher.updates(timeout=60) is None
    await bucket.put("b", LARGE)
    await bucket.delete("a")
    updates = [await watcher.updates(timeout=60) for _ in range(2)]
    assert [(info.name, info.size, bool(info.deleted)) for info in updates] == [("b", len(LARGE), False), ("a", 0, True)]
    await watcher.stop()


async def sealed_objects_stay(client, streams):
    bucket = await streams.create_object_store("STAY")
    await bucket.put("a", LARGE)
    await bucket.seal()
    assert (await bucket.status()).sealed
    await raises(APIError, bucket.put("b", b"x"))
    await raises(APIError, bucket.delete("a"))
    assert (await bucket.get("a")).data == LARGE
    assert await streams.delete_object_store("STAY")
    await raises(BucketNotFoundError, streams.object_store("STAY"))


JOBS = [
    objects_are_put_and_got,
    objects_are_described,
    objects_are_replaced_and_deleted,
    objects_are_listed,
    objects_are_watched,
    sealed_objects_stay,
]
