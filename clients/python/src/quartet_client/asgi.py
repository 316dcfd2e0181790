"""Middleware for ASGI: Starlette, FastAPI, Django and others."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from redis.exceptions import RedisError

from .aio.limits import Limiter
from .errors import QuartetError
from .refusals import UNAVAILABLE, Unreachable, body, refused_headers

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def client_address(scope: Scope) -> str:
    """The address of the client.  Behind a proxy that is the proxy's: read its header in a function of your own."""
    client = scope.get("client")
    return str(client[0]) if client else "unknown"


class RateLimitMiddleware:
    """Answers 429 with Retry-After where the limiter refuses, and adds the RateLimit headers to all responses.

    ``key`` makes the key of a request, or None for requests that are not limited.  Only requests over HTTP are limited.
    """

    def __init__(
        self,
        app: Application,
        limiter: Limiter,
        *,
        key: Callable[[Scope], str | None] = client_address,
        cost: int = 1,
        when_unreachable: Unreachable = "refuse",
    ) -> None:
        self._application, self._limiter = app, limiter
        self._key, self._cost, self._when_unreachable = key, cost, when_unreachable

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        key = self._key(scope) if scope["type"] == "http" else None
        if key is None:
            await self._application(scope, receive, send)
            return
        try:
            decision = await self._limiter.check(key, self._cost)
        except (RedisError, QuartetError, OSError):
            if self._when_unreachable == "raise":
                raise
            decision = None
        if decision is None:
            if self._when_unreachable == "allow":
                await self._application(scope, receive, send)
            else:
                await _answer(send, 503, UNAVAILABLE, [])
            return
        headers = decision.headers()
        if not decision.allowed:
            await _answer(send, 429, body(decision), headers)
            return
        if decision.delay > 0:
            await asyncio.sleep(decision.delay)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *_encoded(headers)]}
            await send(message)

        await self._application(scope, receive, send_with_headers)


async def _answer(send: Send, status: int, content: bytes, headers: list[tuple[str, str]]) -> None:
    own = _encoded(refused_headers(content, headers))
    await send({"type": "http.response.start", "status": status, "headers": own})
    await send({"type": "http.response.body", "body": content})


def _encoded(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1", "replace")) for name, value in headers]
