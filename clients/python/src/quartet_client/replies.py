"""What the server answers, read from both versions of the Redis protocol."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# The elements of a decision in their order, as the second version of the protocol has them without names.
_DECISION = ("allowed", "limit", "remaining", "retry_after_ms", "reset_after_ms", "policy", "shadow", "delay_ms")


@dataclass(frozen=True)
class Grant:
    """A resource was granted."""

    fencing_token: int
    #: Seconds that were left of the lease when the server answered; None with a session.
    left: float | None
    #: Seconds that the request has waited in the server.
    waited: float


@dataclass(frozen=True)
class Decision:
    """What a limiter has decided.  All times are in seconds."""

    allowed: bool
    limit: int
    remaining: int
    #: When a retry succeeds if nobody else takes anything; None if it is allowed, or never will be.
    retry_after: float | None
    #: When all is back.
    reset_after: float
    #: The limit that decided; None if the request stated its limit.
    policy: str | None
    #: A policy in shadow mode would have refused it.
    shadow: bool
    #: How long to wait before going on, which spaces requests evenly; only the algorithm ``leaky`` asks for it.
    delay: float
    #: How much was taken.
    taken: int

    def raise_if_refused(self) -> Decision:
        """Raises RateLimited unless the request is allowed."""
        from .errors import RateLimited

        if not self.allowed:
            raise RateLimited(self)
        return self

    def headers(self) -> list[tuple[str, str]]:
        """The headers of a response over HTTP, as Quartet itself writes them: RateLimit and, if refused, Retry-After."""
        name = self.policy or "limit"
        seconds = math.ceil(self.reset_after if self.retry_after is None else self.retry_after)
        headers = [
            ("RateLimit-Policy", f'"{name}";q={self.limit}'),
            ("RateLimit", f'"{name}";r={self.remaining};t={seconds}'),
        ]
        if self.retry_after is not None:
            headers.append(("Retry-After", str(seconds)))
        return headers


def text(value: object) -> str:
    """A name, whatever the connection made of its bytes."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _optional_text(value: object) -> str | None:
    return None if value is None else text(value)


def _named(reply: Any, names: Sequence[str]) -> dict[str, Any]:
    """A reply as names and values: it is a map, or a list in the order of these names."""
    if isinstance(reply, Mapping):
        return {text(name): value for name, value in reply.items()}
    return dict(zip(names, reply, strict=False))


def grant(reply: Any) -> Grant | None:
    """The reply of LOCK.ACQUIRE and LOCK.RENEW."""
    if reply is None:
        return None
    if not isinstance(reply, Mapping):
        reply = dict(zip(reply[::2], reply[1::2], strict=True))
    fields = {text(name): value for name, value in reply.items()}
    left = fields.get("ttl_ms")
    return Grant(
        fencing_token=int(fields["fence"]),
        left=None if left is None else int(left) / 1000,
        waited=int(fields.get("waited_ms") or 0) / 1000,
    )


def decision(
    reply: Any, cost: int, before: Sequence[str] = (), after: Sequence[str] = ()
) -> tuple[Decision, dict[str, Any]]:
    """The reply of a check, with further elements before and behind, which are returned beside it."""
    fields = _named(reply, [*before, *_DECISION, *after])
    allowed = bool(int(fields["allowed"]))
    retry = int(fields["retry_after_ms"])
    taken = fields.get("taken")
    made = Decision(
        allowed=allowed,
        limit=int(fields["limit"]),
        remaining=int(fields["remaining"]),
        retry_after=None if retry < 0 else retry / 1000,
        reset_after=int(fields["reset_after_ms"]) / 1000,
        policy=_optional_text(fields["policy"]),
        shadow=bool(int(fields["shadow"])),
        delay=int(fields["delay_ms"]) / 1000,
        taken=int(taken) if taken is not None else cost if allowed else 0,
    )
    return made, fields
