"""redis-py's scripts and its Lock: `scripts.py PORT PROTOCOL`.

Each function is a step; its name is printed once it has passed.
"""

import asyncio
import sys

import redis
import redis.asyncio


def register_script(client):
    multiply = client.register_script("return redis.call('GET', KEYS[1]) * ARGV[1]")
    client.set("number", 21)
    assert multiply(keys=["number"], args=[2]) == 42
    assert client.script_exists(multiply.sha) == [True]
    assert client.script_flush() is True
    assert multiply(keys=["number"], args=[3]) == 63
    pipeline = client.pipeline()
    multiply(keys=["number"], args=[4], client=pipeline)
    pipeline.get("number")
    assert pipeline.execute() == [84, b"21"]


def evaluate(client):
    assert client.eval("return {1, 'two', {3}, false}", 0) == [1, b"two", [3], None]
    assert client.eval_ro("return redis.call('GET', KEYS[1])", 1, "number") == b"21"
    sha = client.script_load("return ARGV[1]")
    assert client.evalsha(sha, 0, "x") == b"x"
    try:
        client.evalsha("0" * 40, 0)
    except redis.exceptions.NoScriptError:
        pass
    else:
        raise AssertionError("there is no such script")


def functions(client):
    code = """#!lua name=basket
    local function add(keys, args)
        return redis.call('HINCRBY', keys[1], args[1], 1)
    end
    redis.register_function('add', add)
    redis.register_function{
        function_name = 'all',
        callback = function(keys) return redis.call('HGETALL', keys[1]) end,
        flags = {'no-writes'},
    }
    """
    assert client.function_load(code) in ("basket", b"basket")
    try:
        client.function_load(code)
    except redis.exceptions.ResponseError as error:
        assert str(error) == "Library 'basket' already exists"
    else:
        raise AssertionError("it is there")
    assert client.function_load(code, replace=True) in ("basket", b"basket")
    assert client.fcall("add", 1, "of:anna", "pear") == 1
    assert client.fcall("add", 1, "of:anna", "pear") == 2
    assert client.fcall_ro("all", 1, "of:anna") == [b"pear", b"2"]
    (listed,) = client.function_list(library="bask*", withcode=True)
    described = listed if isinstance(listed, dict) else dict(zip(listed[::2], listed[1::2]))
    assert described[b"library_code"] == code.encode()
    stored = client.function_dump()
    assert client.function_flush() in (True, b"OK")
    assert client.function_list() == []
    assert client.function_restore(stored) in (True, b"OK")
    assert client.fcall("add", 1, "of:anna", "pear") == 3
    assert client.function_stats() is not None
    assert client.function_delete("basket") is True
    client.delete("of:anna")


def lock(client):
    first = client.lock("resource", timeout=10)
    second = client.lock("resource", timeout=10, blocking=False)
    assert first.acquire() is True
    assert second.acquire() is False
    assert first.owned() and not second.owned()
    assert first.extend(20) is True
    assert 10_000 < client.pttl("resource") <= 30_000
    assert first.reacquire() is True
    first.release()
    assert second.acquire() is True
    second.release()
    try:
        first.release()
    except redis.exceptions.LockError:
        pass
    else:
        raise AssertionError("a lock that is not held cannot be released")
    assert client.exists("resource") == 0


def asynchronous_lock(client):
    async def exclude():
        inside = 0
        most = 0
        async with redis.asyncio.Redis(**options(client)) as other:

            async def enter():
                nonlocal inside, most
                async with other.lock("shared", timeout=30, sleep=0.001):
                    inside += 1
                    most = max(most, inside)
                    await asyncio.sleep(0)
                    inside -= 1

            await asyncio.gather(*(enter() for _ in range(8)))
        assert most == 1

    asyncio.run(exclude())


def options(client):
    given = client.connection_pool.connection_kwargs
    return {"port": given["port"], "protocol": given["protocol"]}


STEPS = [register_script, evaluate, functions, lock, asynchronous_lock]


def main(port, protocol):
    with redis.Redis(port=port, protocol=protocol) as client:
        for step in STEPS:
            step(client)
            print(step.__name__)


main(int(sys.argv[1]), int(sys.argv[2]))
