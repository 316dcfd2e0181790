"""Locks and semaphores: what may be acquired, as often as you like and by any task."""

from __future__ import annotations

import asyncio
import functools
import weakref
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from .. import replies, requests
from ..errors import LockLost, NotAcquired, NotHeld
from ..holdings import LockHolding, SessionHolding, SessionLeaseHolding
from ..locks import FRESH
from ..requests import Asked
from ..terms import Term, now
from .leases import Lease, OnLost

if TYPE_CHECKING:
    from .client import Quartet

P = ParamSpec("P")
R = TypeVar("R")


class Lock:
    """One resource, or several that are only ever held together.

    ``async with lock as lease:`` waits as long as ``wait`` says (None: until it is granted), and raises NotAcquired after
    that.  A Lock may be shared by tasks: each has its own lease.
    """

    def __init__(
        self,
        client: Quartet,
        asked: Asked,
        wait: float | None,
        owner: str | None,
        on_lost: OnLost | None,
        session: SessionHolding | None,
    ) -> None:
        self._client, self._asked, self._wait = client, asked, wait
        self._owner, self._on_lost, self._session = owner, on_lost, session
        self._entered: weakref.WeakKeyDictionary[asyncio.Task[object], list[Lease]] = weakref.WeakKeyDictionary()

    @property
    def resources(self) -> tuple[str, ...]:
        """What it locks."""
        return self._asked.resources

    async def acquire(self, wait: float | None = None) -> Lease:
        """Waits for so many seconds at most, or as the lock says.  Raises NotAcquired, or Deadlock at once."""
        lease = await self._acquire(self._wait if wait is None else wait)
        if lease is None:
            raise NotAcquired(f"{', '.join(self.resources)} was not granted in time")
        return lease

    async def try_acquire(self) -> Lease | None:
        """Acquires it if nobody has to be waited for."""
        return await self._acquire(0.0)

    async def release(self) -> None:
        """Releases what this owner holds, without its lease.  Raises NotHeld if it holds nothing."""
        command = requests.release(self.resources, self._current_owner(), None, requests.request_id())
        await self._client._transport.call(command)

    def guarded(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """A function that holds the lock while it runs.  It is cancelled, and raises LockLost, if the lock is lost."""

        @functools.wraps(function)
        async def guarded(*arguments: P.args, **named: P.kwargs) -> R:
            async with await self.acquire():
                return await function(*arguments, **named)

        return guarded

    def _current_owner(self) -> str:
        return self._owner or self._client._owners.current()

    async def _acquire(self, wait: float | None) -> Lease | None:
        owner = self._current_owner()
        session = None if self._session is None else self._session.name
        command = self._asked.acquire(owner, wait, session)
        sent_at = now()
        grant = replies.grant(await self._client._transport.call(command, requests.time_in_server(wait)))
        if grant is None:
            return None
        if self._session is not None:
            kept = SessionLeaseHolding(self.resources, owner, grant.fencing_token, self._session)
            lease = Lease(self._client, kept, self._on_lost)
            kept.join()
            return lease
        # The whole lease lies behind the wait, whichever attempt at sending the request was answered.
        left = self._asked.ttl if grant.left is None else min(grant.left, self._asked.ttl)
        term = Term(self._asked.ttl, sent_at + grant.waited + left - self._asked.ttl)
        holding = LockHolding(self.resources, owner, grant.fencing_token, term)
        lease = Lease(self._client, holding, self._on_lost)
        if holding.lost_at - now() < term.length * FRESH:
            await self._renew(holding)
        self._client._renewal.keep(holding)
        return lease

    async def _renew(self, holding: LockHolding) -> None:
        """Renews it, so that more of it is certain."""
        sent_at = now()
        try:
            for command in holding.renewals():
                await self._client._transport.call(command)
        except NotHeld as error:
            raise LockLost(f"{', '.join(holding.resources)} was lost as soon as it was granted") from error
        holding.term = Term(holding.term.length, sent_at)
        holding.due_at = holding.term.due_at()

    async def __aenter__(self) -> Lease:
        lease = await self.acquire()
        await lease.__aenter__()
        task = asyncio.current_task()
        assert task is not None, "locks are taken in tasks"
        self._entered.setdefault(task, []).append(lease)
        return lease

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task = asyncio.current_task()
        assert task is not None, "a block ends in the task that it began in"
        await self._entered[task].pop().__aexit__(kind, error, trace)


class Semaphore(Lock):
    """A number of permits for one resource, of which an owner may hold several."""
