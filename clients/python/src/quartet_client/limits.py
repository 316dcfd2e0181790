"""Rate limits: checks, reservations, slots and a decorator."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

from . import replies, requests
from .holdings import SlotHolding
from .leases import OnLost, Slot
from .replies import Decision
from .requests import Rate
from .terms import Term, milliseconds, now

if TYPE_CHECKING:
    from .client import Quartet

P = ParamSpec("P")
R = TypeVar("R")

Key = str | Callable[..., str]
"""A key, or how to make it of the arguments of the decorated function."""


class Limiter:
    """A policy of the server, or a limit that the requests themselves state."""

    def __init__(self, client: Quartet, limit: str | Rate) -> None:
        self._client, self._limit = client, limit

    def check(self, key: str, cost: int = 1, *, peek: bool = False, up_to: bool = False, wait: float = 0.0) -> Decision:
        """Takes the cost from all limits of the policy, or from none.

        ``peek`` only asks, ``up_to`` takes as much as is left up to the cost, ``wait`` waits its turn for so many seconds.
        """
        command = requests.check(self._limit, key, cost, peek, up_to, wait)
        reply = self._client._transport.call(command, wait)
        return replies.decision(reply, 0 if peek else cost, after=["taken"])[0]

    def acquire(self, key: str, cost: int = 1, *, wait: float = 0.0) -> Decision:
        """The same, but raises RateLimited if it is refused."""
        return self.check(key, cost, wait=wait).raise_if_refused()

    def limit(self, key: Key, cost: int = 1, *, wait: float = 0.0) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """A decorator: each call of the function takes the cost, or raises RateLimited in place of running."""

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            @functools.wraps(function)
            def limited(*arguments: P.args, **named: P.kwargs) -> R:
                name = key if isinstance(key, str) else key(*arguments, **named)
                decision = self.acquire(name, cost, wait=wait)
                if decision.delay > 0:
                    time.sleep(decision.delay)
                return function(*arguments, **named)

            return limited

        return decorate

    def reserve(self, key: str, cost: int, ttl: float = 60.0) -> Reservation:
        """Takes what may be needed, for ``commit`` to settle.  Raises RateLimited if it is refused."""
        reply = self._client._transport.call(["RL.RESERVE", 1, self._policy(), key, cost, "TTL", milliseconds(ttl)])
        decision, fields = replies.decision(reply, cost, before=["id", "expires_in_ms"])
        decision.raise_if_refused()
        return Reservation(self._client, replies.text(fields["id"]), decision)

    def enter(self, key: str, ttl: float = 30.0, on_lost: OnLost | None = None) -> Slot:
        """Takes a slot of a policy with the algorithm ``concurrency``, and renews it until it is released.

        Raises RateLimited if none is free.
        """
        sent_at = now()
        reply = self._client._transport.call(["RL.ENTER", self._policy(), key, "TTL", milliseconds(ttl)])
        decision, fields = replies.decision(reply, 1, before=["slot"])
        decision.raise_if_refused()
        holding = SlotHolding(self._policy(), key, replies.text(fields["slot"]), Term(ttl, sent_at))
        slot = Slot(self._client, holding, on_lost)
        self._client._renewal.keep(holding)
        return slot

    def reset(self, key: str) -> None:
        """Gives a key everything back."""
        self._client._transport.call(["RL.RESET", key, "POLICY", self._policy()])

    def define(self, definition: Mapping[str, Any]) -> None:
        """Makes or replaces the policy, with the fields that ``PUT /policies/{name}`` takes."""
        self._client._transport.call(["RL.POLICY", "SET", self._policy(), "JSON", json.dumps(definition)])

    def _policy(self) -> str:
        if isinstance(self._limit, Rate):
            raise TypeError("this needs a policy of the server, which has a name")
        return self._limit


class Reservation:
    """A cost that was taken before it is known.  The block's end cancels it unless ``commit`` was called."""

    def __init__(self, client: Quartet, name: str, decision: Decision) -> None:
        self._client, self._is_open = client, True
        self.id, self.decision = name, decision

    def commit(self, actual: int) -> bool:
        """Charges what was used.  Returns whether the reservation was still open."""
        self._is_open = False
        return bool(self._client._transport.call(["RL.COMMIT", self.id, actual]))

    def cancel(self) -> bool:
        """Gives everything back.  Returns whether the reservation was still open."""
        self._is_open = False
        return bool(self._client._transport.call(["RL.CANCEL", self.id]))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_open:
            self.cancel()
