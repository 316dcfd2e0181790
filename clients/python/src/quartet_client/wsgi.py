"""Middleware for WSGI: Flask, Django, bottle and others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from .errors import QuartetError
from .limits import Limiter
from .refusals import UNAVAILABLE, Unreachable, body, refused_headers

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def client_address(environment: WSGIEnvironment) -> str:
    """The address of the client.  Behind a proxy that is the proxy's: read its header in a function of your own."""
    return environment.get("REMOTE_ADDR") or "unknown"


class RateLimitMiddleware:
    """Answers 429 with Retry-After where the limiter refuses, and adds the RateLimit headers to all responses.

    ``key`` makes the key of a request, or None for requests that are not limited.
    """

    def __init__(
        self,
        application: WSGIApplication,
        limiter: Limiter,
        *,
        key: Callable[[WSGIEnvironment], str | None] = client_address,
        cost: int = 1,
        when_unreachable: Unreachable = "refuse",
    ) -> None:
        self._application, self._limiter = application, limiter
        self._key, self._cost, self._when_unreachable = key, cost, when_unreachable

    def __call__(self, environment: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        key = self._key(environment)
        if key is None:
            return self._application(environment, start_response)
        try:
            decision = self._limiter.check(key, self._cost)
        except (RedisError, QuartetError, OSError):
            if self._when_unreachable == "allow":
                return self._application(environment, start_response)
            if self._when_unreachable == "raise":
                raise
            start_response("503 Service Unavailable", refused_headers(UNAVAILABLE, []))
            return [UNAVAILABLE]
        headers = decision.headers()
        if not decision.allowed:
            refusal = body(decision)
            start_response("429 Too Many Requests", refused_headers(refusal, headers))
            return [refusal]
        if decision.delay > 0:
            time.sleep(decision.delay)

        def start(status: str, own: list[tuple[str, str]], *information: Any) -> Callable[[bytes], object]:
            return start_response(status, [*own, *headers], *information)

        return self._application(environment, start)
