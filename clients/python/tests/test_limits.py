"""Limits: exact counts, several at once, and what decorators and middleware answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from wsgiref.util import setup_testing_defaults

import pytest
import redis
from servers import Server, name

from quartet_client import Limiter, LockLost, Quartet, Rate, RateLimited, aio
from quartet_client.asgi import RateLimitMiddleware as AsgiMiddleware
from quartet_client.wsgi import RateLimitMiddleware as WsgiMiddleware


def limiter(quartet: Quartet, limit: int, **fields: Any) -> Limiter:
    """A policy of its own that allows so many within an hour."""
    made = quartet.limiter(name("policy"))
    made.define({"limits": [{"algorithm": "gcra", "limit": limit, "period_ms": 3_600_000, **fields}]})
    return made


def test_exactly_as_many_as_allowed(quartet: Quartet) -> None:
    ten = limiter(quartet, 10)
    with ThreadPoolExecutor(8) as pool:
        decisions = list(pool.map(lambda _: ten.check("ann"), range(40)))
    assert sum(decision.allowed for decision in decisions) == 10
    refused = ten.check("ann")
    assert not refused.allowed and refused.remaining == 0 and refused.limit == 10 and refused.taken == 0
    assert refused.retry_after is not None and 0 < refused.retry_after <= 360
    assert ten.check("bob").remaining == 9


def test_what_a_check_may_ask(quartet: Quartet) -> None:
    five = limiter(quartet, 5)
    assert five.check("ann", peek=True).remaining == 5
    assert five.check("ann", 3).remaining == 2
    taken = five.check("ann", 9, up_to=True)
    assert taken.allowed and taken.taken == 2
    assert five.check("ann", up_to=True).taken == 0
    five.reset("ann")
    assert five.acquire("ann").remaining == 4
    # More than there ever is: no retry succeeds.
    assert five.check("ann", 6).retry_after is None
    with pytest.raises(ValueError):
        five.check("ann", peek=True, up_to=True)


def test_limits_of_the_request(quartet: Quartet) -> None:
    stated = quartet.limiter(Rate("gcra", 1, period=3600))
    key = name("key")
    assert stated.check(key).allowed
    with pytest.raises(RateLimited) as caught:
        stated.acquire(key)
    assert caught.value.decision.policy is None
    with pytest.raises(TypeError):
        stated.reset(key)


def test_several_at_once_take_from_all_or_none(quartet: Quartet) -> None:
    wide, narrow = name("wide"), name("narrow")
    quartet.limiter(wide).define({"limits": [{"algorithm": "gcra", "limit": 10, "period_ms": 3_600_000}]})
    quartet.limiter(narrow).define({"limits": [{"algorithm": "gcra", "limit": 2, "period_ms": 3_600_000}]})
    for _ in range(2):
        assert quartet.check_all((wide, "ann"), (narrow, "all", 1)).allowed
    refused = quartet.check_all((wide, "ann", 1), (narrow, "all"))
    assert not refused.allowed and refused.policy == narrow
    assert quartet.limiter(wide).check("ann", peek=True).remaining == 8


def test_a_check_waits_its_turn(quartet: Quartet) -> None:
    stated = quartet.limiter(Rate("gcra", 100, period=10, burst=1))
    key = name("key")
    assert all(stated.check(key, wait=30).allowed for _ in range(5))


def test_reservations(quartet: Quartet) -> None:
    ten = limiter(quartet, 10)
    with ten.reserve("ann", 8) as reservation:
        assert reservation.decision.remaining == 2
        with pytest.raises(RateLimited):
            ten.reserve("ann", 5)
        assert reservation.commit(3)
    assert ten.check("ann", peek=True).remaining == 7
    with ten.reserve("ann", 7):
        assert ten.check("ann", peek=True).remaining == 0
    assert ten.check("ann", peek=True).remaining == 7


def test_slots(shared_server: Server, quartet: Quartet) -> None:
    jobs = limiter(quartet, 1, algorithm="concurrency")
    with jobs.enter("ann", ttl=1.2) as slot:
        with pytest.raises(RateLimited):
            jobs.enter("ann")
        seen = now = slot._holding.term
        while now is seen:
            now = slot._holding.term
        assert not slot.is_lost
    with pytest.raises(LockLost), jobs.enter("ann", ttl=1.2) as slot:
        jobs.reset("ann")
        assert slot.lost.wait(60)


def test_a_decorated_function(quartet: Quartet) -> None:
    two = limiter(quartet, 2)
    calls: list[str] = []

    @two.limit(key=lambda user: f"user:{user}")
    def greet(user: str) -> str:
        calls.append(user)
        return f"hello {user}"

    assert [greet("ann"), greet("ann"), greet("bob")] == ["hello ann", "hello ann", "hello bob"]
    with pytest.raises(RateLimited):
        greet("ann")
    assert calls == ["ann", "ann", "bob"]


def application(environment: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


class Wsgi:
    """Asks an application, and keeps what it answers."""

    def __init__(self, application: Any) -> None:
        self.application = application

    def get(self, **environment: str) -> tuple[int, dict[str, str], bytes]:
        full: dict[str, Any] = {"REMOTE_ADDR": "192.0.2.7", **environment}
        setup_testing_defaults(full)
        answered: list[Any] = []

        def start(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], object]:
            answered.extend([int(status.split()[0]), {name.lower(): value for name, value in headers}])
            return lambda _: None

        body = b"".join(self.application(full, start))
        return answered[0], answered[1], body


def test_wsgi(quartet: Quartet) -> None:
    two = limiter(quartet, 2)
    web = Wsgi(WsgiMiddleware(application, two))
    assert [web.get()[0] for _ in range(2)] == [200, 200]
    status, headers, body = web.get()
    assert status == 429 and b"quota-exceeded" in body
    assert int(headers["retry-after"]) > 0
    assert headers["content-type"] == "application/problem+json"
    assert ";r=0;t=" in headers["ratelimit"] and ";q=2" in headers["ratelimit-policy"]
    status, headers, body = web.get(REMOTE_ADDR="192.0.2.8")
    assert status == 200 and body == b"hello" and ";r=1;" in headers["ratelimit"]
    free = Wsgi(WsgiMiddleware(application, two, key=lambda _: None))
    assert all(free.get()[0] == 200 for _ in range(3))


def test_wsgi_without_a_server(own_server: Server) -> None:
    with Quartet.from_url(own_server.url) as quartet:
        own_server.stop()
        ask = quartet.limiter()
        assert Wsgi(WsgiMiddleware(application, ask)).get()[0] == 503
        assert Wsgi(WsgiMiddleware(application, ask, when_unreachable="allow")).get()[0] == 200
        with pytest.raises(redis.ConnectionError):
            Wsgi(WsgiMiddleware(application, ask, when_unreachable="raise")).get()


async def asgi_application(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"hello"})


async def get(app: Any, address: str = "192.0.2.7") -> tuple[int, dict[str, str], bytes]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await app({"type": "http", "client": (address, 1)}, None, send)
    headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], headers, sent[1]["body"]


def test_asgi(shared_server: Server, quartet: Quartet) -> None:
    policy = limiter(quartet, 2)._policy()

    async def run() -> None:
        async with aio.Quartet.from_url(shared_server.url) as client:
            app = AsgiMiddleware(asgi_application, client.limiter(policy))
            assert [(await get(app))[0] for _ in range(2)] == [200, 200]
            status, headers, body = await get(app)
            assert status == 429 and b"quota-exceeded" in body
            assert int(headers["retry-after"]) > 0 and ";r=0;t=" in headers["ratelimit"]
            status, headers, body = await get(app, "192.0.2.8")
            assert status == 200 and body == b"hello" and ";q=2" in headers["ratelimit-policy"]

    asyncio.run(run())


def test_asgi_without_a_server(own_server: Server) -> None:
    async def run() -> None:
        async with aio.Quartet.from_url(own_server.url) as client:
            own_server.stop()
            ask = client.limiter()
            assert (await get(AsgiMiddleware(asgi_application, ask)))[0] == 503
            assert (await get(AsgiMiddleware(asgi_application, ask, when_unreachable="allow")))[0] == 200
            with pytest.raises(redis.ConnectionError):
                await get(AsgiMiddleware(asgi_application, ask, when_unreachable="raise"))

    asyncio.run(run())
