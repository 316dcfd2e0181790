"""The task of an asynchronous client that renews everything it holds, and the timer that tells holders what is lost."""

from __future__ import annotations

import asyncio

from redis.exceptions import RedisError

from ..holdings import CLOSED, Book, Holding, patience
from ..terms import now
from .transport import Transport


class Renewal:
    """Keeps holdings alive from the first one until the client is closed."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._book = Book()
        self._task: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def keep(self, holding: Holding) -> None:
        """Renews it from now on."""
        if self._is_closed:
            holding.lose(CLOSED)
            return
        self._book.add(holding)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._renew(), name="quartet-renewal")
        self._changed.set()
        self._set_timer()

    def release(self, holding: Holding) -> bool | None:
        """Renews it no longer.  Returns the same as that of the holding."""
        self._book.remove(holding)
        return holding.release(now())

    def lose(self, holding: Holding, reason: str) -> None:
        """Notes that the server holds it no more."""
        holding.is_released = False
        holding.lose(reason)

    async def close(self) -> None:
        """Ends the task.  What is still held is lost, since nobody renews it."""
        self._is_closed = True
        self._book.lose_all(CLOSED)
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _set_timer(self) -> None:
        """Looks for what is lost when the next lease would end."""
        if self._timer is not None:
            self._timer.cancel()
        next_end = self._book.next_end()
        if next_end is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, next_end - now()), self._look)

    def _look(self) -> None:
        self._book.look(now())
        self._set_timer()

    async def _renew(self) -> None:
        while True:
            self._changed.clear()
            batch = self._book.due(now())
            if batch:
                await self._renew_batch(batch)
                continue
            next_due = self._book.next_due()
            try:
                async with asyncio.timeout(None if next_due is None else max(0.0, next_due - now())):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _renew_batch(self, batch: list[Holding]) -> None:
        commands = [holding.renewals() for holding in batch]
        sent_at = now()
        try:
            replies = await self._transport.batch(
                [command for own in commands for command in own], patience(batch, sent_at)
            )
        except (RedisError, OSError):
            self._book.fail(batch, now())
            return
        self._book.settle(batch, commands, replies, sent_at)
        self._set_timer()
