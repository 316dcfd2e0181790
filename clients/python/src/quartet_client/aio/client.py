"""The asynchronous client."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import redis.asyncio

from .. import replies, requests
from ..client import TIMEOUT, TTL
from ..holdings import SessionHolding
from ..owners import TaskOwners
from ..replies import Decision
from ..requests import Asked, Check, Rate
from ..terms import Term, now
from .leases import OnLost, SessionHeld
from .limits import Limiter
from .locks import Lock, Semaphore
from .renewal import Renewal
from .transport import Transport


class _Locks:
    """What makes locks: a client, or a session of it."""

    def _make(
        self, kind: type[Lock], asked: Asked, wait: float | None, owner: str | None, on_lost: OnLost | None
    ) -> Any:
        raise NotImplementedError

    def lock(
        self,
        *resources: str,
        ttl: float = TTL,
        wait: float | None = None,
        shared: bool = False,
        reentrant: bool = False,
        owner: str | None = None,
        meta: str | None = None,
        on_lost: OnLost | None = None,
    ) -> Lock:
        """A lock of one resource, or of several together.

        ``ttl`` is how long it outlives this program, ``wait`` how long to wait for it (None: until it is granted),
        ``shared`` goes together with other shared holders, ``reentrant`` lets an owner acquire it once more, ``owner`` is
        the task unless it is named, ``meta`` is shown by LOCK.INFO, ``on_lost`` is called if it is lost.
        """
        if not resources:
            raise ValueError("a lock needs the name of a resource")
        asked = Asked(resources, ttl, shared=shared, reentrant=reentrant, meta=meta)
        lock: Lock = self._make(Lock, asked, wait, owner, on_lost)
        return lock

    def semaphore(
        self,
        resource: str,
        limit: int,
        permits: int = 1,
        *,
        ttl: float = TTL,
        wait: float | None = None,
        owner: str | None = None,
        meta: str | None = None,
        on_lost: OnLost | None = None,
    ) -> Semaphore:
        """A semaphore with ``limit`` permits in all, of which each acquisition takes ``permits``."""
        asked = Asked((resource,), ttl, permits=permits, limit=limit, meta=meta)
        semaphore: Semaphore = self._make(Semaphore, asked, wait, owner, on_lost)
        return semaphore


class Quartet(_Locks):
    """Locks, semaphores, sessions and limits of the server that ``client`` is connected to.

    It makes connections of its own with the settings of ``client``, and renews all that it holds in one task.
    """

    def __init__(self, client: redis.asyncio.Redis, *, timeout: float = TIMEOUT) -> None:
        self._transport = Transport(client, timeout)
        # Renewals never wait for a connection, nor do others wait for them.
        self._renewals = Transport(client, timeout)
        self._renewal = Renewal(self._renewals)
        self._owners = TaskOwners()

    @classmethod
    def from_url(cls, url: str, *, timeout: float = TIMEOUT, **settings: Any) -> Self:
        """The same from an address such as ``redis://:password@host:6379`` (``rediss`` for TLS), as redis-py reads it."""
        return cls(redis.asyncio.Redis.from_url(url, **settings), timeout=timeout)

    async def session(self, ttl: float = 10.0, *, delay: float = 0.0, on_lost: OnLost | None = None) -> Session:
        """Opens a session, which keeps any number of locks with one ping.

        ``delay`` is for how long nobody else is granted its locks after it is lost.
        """
        sent_at = now()
        name = replies.text(await self._transport.call(requests.open_session(ttl, delay)))
        holding = SessionHolding(name, Term(ttl, sent_at))
        session = Session(self, holding, on_lost)
        self._renewal.keep(holding)
        return session

    def limiter(self, limit: str | Rate = "default") -> Limiter:
        """A policy of the server by its name, or a limit that is stated here."""
        return Limiter(self, limit)

    async def check_all(self, *checks: Check, wait: float = 0.0) -> Decision:
        """Takes from several policies, each with its own key and cost: from all of them or from none."""
        command, largest = requests.check_all(checks, wait)
        return replies.decision(await self._transport.call(command, wait), largest)[0]

    async def close(self) -> None:
        """Ends the task and closes connections.  What is still held counts as lost, and ends with its lease."""
        await self._renewal.close()
        await self._renewals.close()
        await self._transport.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _make(
        self, kind: type[Lock], asked: Asked, wait: float | None, owner: str | None, on_lost: OnLost | None
    ) -> Any:
        return kind(self, asked, wait, owner, on_lost, None)


class Session(SessionHeld, _Locks):
    """An open session.  Its locks last as long as it does, and are lost with it."""

    def _make(
        self, kind: type[Lock], asked: Asked, wait: float | None, owner: str | None, on_lost: OnLost | None
    ) -> Any:
        return kind(self._client, asked, wait, owner, on_lost, self._holding)
