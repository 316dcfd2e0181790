"""The two threads of a blocking client: one renews everything it holds, and one tells holders what is lost.

They are two because the first one waits for the server, which may be why something is lost.
"""

from __future__ import annotations

import threading

from redis.exceptions import RedisError

from . import forks
from .holdings import CLOSED, Book, Holding, SessionHolding, SessionLeaseHolding, patience
from .terms import now
from .transport import Transport


class Renewal:
    """Keeps holdings alive from the first one until the client is closed."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._begin()
        forks.tell(self)

    def _begin(self) -> None:
        self._book = Book()
        self._changed = threading.Condition()
        self._closed = False
        #: The two threads, once there is something to renew.
        self.threads: list[threading.Thread] = []

    def keep(self, holding: Holding) -> None:
        """Renews it from now on."""
        with self._changed:
            if self._closed:
                holding.lose(CLOSED)
                return
            self._book.add(holding)
            if not self.threads:
                self._start()
            self._changed.notify_all()

    def _start(self) -> None:
        for name, work in (("quartet-renewal", self._renew), ("quartet-watch", self._watch)):
            thread = threading.Thread(target=work, name=name, daemon=True)
            thread.start()
            self.threads.append(thread)

    def after_fork(self) -> None:
        """A fork has no threads, and what was held before is neither its own to renew nor to release."""
        inherited = self._book
        self._begin()
        inherited.inherit()

    def release(self, holding: Holding) -> bool | None:
        """Renews it no longer.  Returns the same as that of the holding."""
        with self._changed:
            self._book.remove(holding)
            return holding.release(now())

    def end(self, session: SessionHolding) -> None:
        """Ends the leases of a session that is given back."""
        with self._changed:
            session.end()

    def unanswered(self, holding: Holding) -> None:
        """Notes that the server has not answered its release, so that it may be tried again."""
        with self._changed:
            holding.is_unanswered = True

    def look(self, holding: Holding) -> bool:
        """Whether it is lost, by the clock as well."""
        with self._changed:
            return holding.look(now())

    def lose(self, holding: Holding, reason: str) -> None:
        """Notes that the server holds it no more."""
        with self._changed:
            holding.is_released = False
            holding.lose(reason)

    def remember(self, lease: SessionLeaseHolding) -> None:
        """Has the session ask after it from now on."""
        with self._changed:
            lease.join()

    def forget(self, lease: SessionLeaseHolding) -> None:
        """Has the session ask after it no longer."""
        with self._changed:
            lease.leave()

    def close(self) -> None:
        """Lets the threads end.  What is still held is lost, since nobody renews it."""
        with self._changed:
            self._closed = True
            self._book.lose_all(CLOSED)
            self._changed.notify_all()

    def _renew(self) -> None:
        while True:
            with self._changed:
                while not (batch := self._book.due(now())):
                    if self._closed:
                        return
                    next_due = self._book.next_due()
                    self._changed.wait(None if next_due is None else max(0.0, next_due - now()))
                commands = [holding.renewals() for holding in batch]
            self._renew_batch(batch, commands)

    def _renew_batch(self, batch: list[Holding], commands: list[list[list[str | bytes | int]]]) -> None:
        sent_at = now()
        try:
            replies = self._transport.batch([command for own in commands for command in own], patience(batch, sent_at))
        except (RedisError, OSError):
            with self._changed:
                self._book.fail(batch, now())
            return
        with self._changed:
            self._book.settle(batch, commands, replies, sent_at)
            self._changed.notify_all()

    def _watch(self) -> None:
        with self._changed:
            while not self._closed:
                self._book.look(now())
                next_end = self._book.next_end()
                self._changed.wait(None if next_end is None else max(0.0, next_end - now()))
