"""The same for asyncio, as far as it is code of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import redis.asyncio
from servers import KEPT, LOOKS_MAX, Relay, Server, certificate, name, redis_server

from quartet_client import Deadlock, LockLost, NotAcquired, NotHeld, NotQuartet, RateLimited
from quartet_client.aio import Held, Quartet

#: Seconds of a lease that a test loses.
SHORT = 1.2


async def wait_until(condition: Callable[[], object]) -> None:
    for _ in range(LOOKS_MAX):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come about")


def run(server: Server, test: Callable[[Quartet], Awaitable[None]]) -> None:
    async def main() -> None:
        async with Quartet.from_url(server.url) as quartet:
            await test(quartet)

    asyncio.run(main())


def test_one_task_at_a_time_and_tokens_rise(shared_server: Server) -> None:
    resource, counter = name(), name("counter")
    tokens: list[int] = []

    async def test(quartet: Quartet) -> None:
        client = redis.asyncio.Redis(port=shared_server.port)
        lock = quartet.lock(resource)

        async def work() -> None:
            for _ in range(10):
                async with lock as lease:
                    value = int(await client.get(counter) or 0)
                    tokens.append(lease.fencing_token)
                    await client.set(counter, value + 1)

        await asyncio.gather(*[work() for _ in range(8)])
        assert int(await client.get(counter) or 0) == 80
        await client.aclose()

    run(shared_server, test)
    assert len(tokens) == 80 and tokens == sorted(set(tokens))


def test_a_lease_is_renewed_many_times(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        resource = name()
        async with quartet.lock(resource, ttl=KEPT) as lease:
            await wait_until(lambda: shared_server.held(resource) > 1.5 * KEPT * 1000)
            assert not lease.is_lost and 0 < lease.remaining <= KEPT
        assert shared_server.held(resource) == 0

    run(shared_server, test)


def test_waiting_and_releasing(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        resource = name()
        async with quartet.lock(resource, owner="first"):
            with pytest.raises(NotAcquired):
                await quartet.lock(resource, owner="second").acquire(wait=0.05)
            assert await quartet.lock(resource, owner="second").try_acquire() is None
            with pytest.raises(NotHeld):
                await quartet.lock(resource, owner="second").release()
        async with quartet.lock(resource) as outer:
            with pytest.raises(Deadlock):
                await quartet.lock(resource).acquire()
            async with quartet.lock(resource, reentrant=True) as inner:
                assert inner.fencing_token == outer.fencing_token

    run(shared_server, test)


def test_cancelled_while_it_waits(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        resource = name()
        shared_server.redis()
        async with quartet.lock(resource):
            waiter = asyncio.create_task(quartet.lock(resource).acquire())
            await wait_until(lambda: shared_server.command("LOCK.WAITS", "RESOURCE", resource))
            waiter.cancel()
            await wait_until(lambda: not shared_server.command("LOCK.WAITS", "RESOURCE", resource))
            with pytest.raises(asyncio.CancelledError):
                await waiter

    run(shared_server, test)


def test_a_block_is_cancelled_when_the_lock_is_lost(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        resource = name()
        told: list[Held] = []
        went_on = False
        with pytest.raises(LockLost):
            async with quartet.lock(resource, ttl=SHORT, on_lost=told.append) as lease:
                shared_server.command("LOCK.FORCE", resource)
                await asyncio.sleep(3600)
                went_on = True
        assert told == [lease] and lease.lost.is_set() and not went_on
        # The task itself is not left cancelled.
        task = asyncio.current_task()
        assert task is not None and task.cancelling() == 0
        await asyncio.sleep(0)

    run(shared_server, test)


def test_lost_while_a_block_is_cancelled_by_others(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        resource = name()
        is_inside = asyncio.Event()

        async def block() -> None:
            async with quartet.lock(resource):
                is_inside.set()
                await asyncio.sleep(3600)

        task = asyncio.create_task(block())
        await is_inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert shared_server.held(resource) == 0

    run(shared_server, test)


def test_server_paused_and_stopped(own_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        with pytest.raises(LockLost):
            async with quartet.lock(name(), ttl=SHORT):
                own_server.pause()
                await asyncio.sleep(3600)
        own_server.resume()
        with pytest.raises(LockLost):
            async with await quartet.session(ttl=SHORT) as session, session.lock(name()) as lease:
                own_server.stop()
                await asyncio.sleep(3600)
        assert session.is_lost and lease.is_lost

    run(own_server, test)


def test_a_client_that_is_closed_renews_nothing(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        lease = await quartet.lock(name()).acquire()
        await quartet.close()
        assert lease.lost.is_set()
        with pytest.raises(LockLost):
            await lease.release()

    run(shared_server, test)


def test_what_is_granted_to_a_client_that_was_closed_is_lost(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        resource = name()
        first = await quartet.lock(resource, owner="first").acquire()
        async with Quartet.from_url(shared_server.url) as other:
            waiting = asyncio.create_task(other.lock(resource, ttl=SHORT).acquire())
            await wait_until(lambda: shared_server.command("LOCK.WAITS", "RESOURCE", resource))
        await first.release()
        lease = await waiting
        assert lease.is_lost and "closed" in (lease.lost_reason or "")

    run(shared_server, test)


def test_many_idle_connections_that_are_closed_do_not_matter(shared_server: Server) -> None:
    async def test(_: Quartet) -> None:
        with Relay(shared_server.port) as relay:
            async with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as quartet:
                await asyncio.gather(*[quartet.limiter().check(f"{number}") for number in range(4)])
                relay.close_all()
                async with quartet.lock(name()) as lease:
                    assert lease.fencing_token > 0

    run(shared_server, test)


def test_nothing_goes_on_behind_a_release(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        async with await quartet.session() as session:
            lease, kept = await quartet.lock(name()).acquire(), await session.lock(name()).acquire()
            await lease.release()
        for held in (lease, kept):
            assert held.remaining == 0.0 and not held.lost.is_set()
            with pytest.raises(NotHeld, match="released"):
                held.raise_if_lost()
            await held.release()

    run(shared_server, test)


def test_a_release_that_does_not_reach_the_server_is_tried_again(shared_server: Server) -> None:
    async def test(_: Quartet) -> None:
        resource = name()
        with Relay(shared_server.port) as relay:
            async with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as quartet:
                lease = await quartet.lock(resource).acquire()
                relay.cut()
                with pytest.raises(redis.ConnectionError):
                    await lease.release()
                relay.is_cut = False
                await lease.release()
        assert shared_server.held(resource) == 0

    run(shared_server, test)


def test_a_release_whose_reply_is_lost_is_made_once(shared_server: Server) -> None:
    async def test(other: Quartet) -> None:
        resource = name()
        with Relay(shared_server.port) as relay:
            async with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as quartet:
                lock = quartet.lock(resource, reentrant=True, owner="both")
                outer, inner = await lock.acquire(), await lock.acquire()
                for lease in (inner, outer):
                    relay.loses_replies = True
                    for _ in range(2):
                        with pytest.raises(redis.ConnectionError):
                            await lease.release()
                        assert lease.remaining == 0.0 and not lease.is_lost
                        with pytest.raises(NotHeld, match="released"):
                            lease.raise_if_lost()
                    relay.loses_replies = False
                    if lease is inner:
                        await lease.release()
                        outer.raise_if_lost()
                        assert shared_server.held(resource) > 0
                # Somebody else holds it by now, and goes on.
                async with await other.lock(resource).acquire(wait=0.0):
                    await outer.release()
                    await outer.release()
                    assert shared_server.held(resource) > 0

    run(shared_server, test)


def test_connection_cut(own_server: Server) -> None:
    async def test(other: Quartet) -> None:
        resource = name()
        with Relay(own_server.port) as relay:
            async with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as cut_off:
                lease = await cut_off.lock(resource, ttl=SHORT, owner="cut off").acquire()
                relay.cut()
                async with other.lock(resource, owner="other"):
                    assert lease.is_lost
                with pytest.raises(LockLost):
                    await lease.release()

    run(own_server, test)


def test_semaphores_sessions_and_guards(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        resource = name()
        semaphore = quartet.semaphore(resource, 2)
        async with semaphore, semaphore:
            assert await quartet.semaphore(resource, 2, owner="other").try_acquire() is None
        async with await quartet.session(ttl=KEPT) as session:
            held = [name() for _ in range(3)]
            for each in held:
                await session.lock(each).acquire()
            await wait_until(lambda: all(shared_server.held(each) > 1.2 * KEPT * 1000 for each in held))
        assert not any(shared_server.held(each) for each in held)

        @quartet.lock(resource).guarded
        async def work(amount: int) -> int:
            assert shared_server.held(resource) > 0
            return amount * 2

        assert await work(21) == 42
        lease = await quartet.lock(resource).acquire()
        await lease.fenced_set(name("key"), "done")
        shared_server.command("LOCK.FORCE", resource)
        with pytest.raises(LockLost):
            await lease.fenced_set(name("key"), "too late")
        assert lease.lost.is_set()
        with pytest.raises(LockLost):
            await lease.release()

    run(shared_server, test)


def test_limits(shared_server: Server) -> None:
    async def test(quartet: Quartet) -> None:
        limiter = quartet.limiter(name("policy"))
        await limiter.define({"limits": [{"algorithm": "gcra", "limit": 3, "period_ms": 3_600_000}]})
        decisions = await asyncio.gather(*[limiter.check("ann") for _ in range(9)])
        assert sum(decision.allowed for decision in decisions) == 3

        @limiter.limit(key="bob")
        async def greet() -> str:
            return "hello"

        assert [await greet() for _ in range(3)] == ["hello"] * 3
        with pytest.raises(RateLimited):
            await greet()
        policy = limiter._policy()
        assert (await quartet.check_all((policy, "cat", 2), (policy, "dan"))).allowed
        async with await limiter.reserve("eve", 3) as reservation:
            assert await reservation.commit(1)
        assert (await limiter.check("eve", peek=True)).remaining == 2
        jobs = quartet.limiter(name("jobs"))
        await jobs.define({"limits": [{"algorithm": "concurrency", "limit": 1, "period_ms": 3000}]})
        async with await jobs.enter("ann"):
            with pytest.raises(RateLimited):
                await jobs.enter("ann")

    run(shared_server, test)


def test_passwords_and_tls(shared_server: Server, tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)

    async def main() -> None:
        with Relay(shared_server.port, context) as relay:
            url = f"rediss://127.0.0.1:{relay.port}"
            async with Quartet.from_url(url, ssl_ca_certs=str(chain)) as quartet, quartet.lock(name()):
                pass
        with Server("--requirepass", "sesame") as server:
            async with Quartet.from_url(f"redis://:sesame@127.0.0.1:{server.port}") as quartet, quartet.lock(name()):
                pass

    asyncio.run(main())


def test_a_server_that_is_not_quartet() -> None:
    async def main() -> None:
        with redis_server() as url:
            async with Quartet.from_url(url) as quartet:
                with pytest.raises(NotQuartet):
                    await quartet.lock("x").acquire()

    asyncio.run(main())
