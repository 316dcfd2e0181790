"""What a client holds and keeps alive, and the book of when each is to be renewed.

Nothing here does I/O or starts anything: the blocking client and the asynchronous one have the same book.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from . import requests
from .requests import Command
from .terms import Term, milliseconds

#: A holding is renewed together with others up to this part of its length before its time, which saves round trips.
TOGETHER = 0.05

#: How long the server may take to answer a renewal, as a part of what is left of the shortest lease in it.
PATIENCE = 0.4

#: Bounds of that time, in seconds.
PATIENCE_MIN, PATIENCE_MAX = 0.02, 5.0


class Holding:
    """Something that ends by itself unless it is renewed: a lease, a session or a slot."""

    def __init__(self, term: Term) -> None:
        self.term = term
        self.due_at = term.due_at()
        #: Why it was lost; None as long as it is held, or once it was given back.
        self.lost_reason: str | None = None
        #: Given back by its holder, so that whatever an answer under way says is of no interest.
        self.is_released = False
        #: The server has not answered its release, so that it may be tried again.
        self.is_unanswered = False
        #: The REQID of its release: however often it is tried, it is one request.
        self.release_id = requests.request_id()
        #: Told once, when it is lost.
        self.announce: Callable[[], None] = lambda: None
        #: Told in a fork, to which it does not belong.
        self.disown: Callable[[], None] = lambda: None

    def renewals(self) -> list[Command]:
        """The commands that renew it."""
        raise NotImplementedError

    def judge(self, replies: Sequence[Any]) -> str | None:
        """Why it is lost according to the replies of these commands; None if it goes on.

        Raises the error of a reply that tells neither.
        """
        raise NotImplementedError

    def lose(self, reason: str) -> None:
        """Notes that it is lost, once."""
        if self.lost_reason is None and not self.is_released:
            self.lost_reason = reason
            self.announce()

    def look(self, now: float) -> bool:
        """Whether it is lost, by the clock as well."""
        if now >= self.lost_at:
            self.lose("it was not renewed in time: the server did not answer, or this program was paused")
        return self.lost_reason is not None

    def release(self, now: float) -> bool | None:
        """Notes that its holder gives it back.

        Returns whether the server is to be told, False if it was lost before, and None if it was given back before.
        """
        if self.is_released:
            is_again, self.is_unanswered = self.is_unanswered, False
            return True if is_again else None
        was_held = not self.look(now)
        self.is_released = True
        return was_held

    def inherit(self) -> None:
        """Notes in a fork that it belongs to the process that forked."""
        self.lost_reason = FORKED
        self.disown()

    def remaining(self, now: float) -> float:
        """For how many seconds it is certainly held, without a further renewal."""
        is_over = self.is_released or self.lost_reason is not None
        return 0.0 if is_over else max(0.0, self.lost_at - now)

    @property
    def lost_at(self) -> float:
        """When it counts as lost unless it is renewed before."""
        return self.term.lost_at


def _lost_by(reply: Any, *words: str) -> bool:
    """Whether the reply says that it is held no more; any other error is raised."""
    if not isinstance(reply, ResponseError):
        return False
    if str(reply).split(" ", 1)[0] in words:
        return True
    raise reply


class LockHolding(Holding):
    """Resources under one fencing token, with a lease of their own."""

    def __init__(self, resources: tuple[str, ...], owner: str, fencing_token: int, term: Term) -> None:
        super().__init__(term)
        self.resources, self.owner, self.fencing_token = resources, owner, fencing_token

    def renewals(self) -> list[Command]:
        return requests.renew(self.resources, self.owner, self.fencing_token, self.term.length)

    def judge(self, replies: Sequence[Any]) -> str | None:
        if any([_lost_by(reply, "NOTHELD") for reply in replies]):
            return "the server says that it is not held any more: it was forced, or its lease ended"
        return None


class SessionHolding(Holding):
    """A session with the leases that it keeps.  A ping asks after each of them."""

    def __init__(self, name: str, term: Term) -> None:
        super().__init__(term)
        self.name = name
        self.leases: list[SessionLeaseHolding] = []
        self._asked: list[SessionLeaseHolding] = []

    def renewals(self) -> list[Command]:
        self._asked = list(self.leases)
        checks: list[Command] = [
            ["LOCK.CHECK", resource, lease.fencing_token] for lease in self._asked for resource in lease.resources
        ]
        return [["LOCK.SESSION", "PING", self.name], *checks]

    def judge(self, replies: Sequence[Any]) -> str | None:
        if _lost_by(replies[0], "NOSESSION"):
            return "the server says that the session has ended"
        checks = iter(replies[1:])
        for lease in self._asked:
            answers = [next(checks) for _ in lease.resources]
            if any(not _lost_by(answer) and int(answer) == 0 for answer in answers):
                lease.lose("the server says that it is not held any more: it was forced")
        return None

    def lose(self, reason: str) -> None:
        super().lose(reason)
        for lease in list(self.leases):
            lease.lose(f"its session is lost: {reason}")

    def inherit(self) -> None:
        super().inherit()
        for lease in self.leases:
            lease.inherit()

    def end(self) -> None:
        """Its leases are given back with it."""
        for lease in list(self.leases):
            lease.is_released = True


class SessionLeaseHolding(LockHolding):
    """Resources that last as long as their session."""

    def __init__(self, resources: tuple[str, ...], owner: str, fencing_token: int, session: SessionHolding) -> None:
        super().__init__(resources, owner, fencing_token, session.term)
        self._session = session

    def join(self) -> None:
        """Is asked after with each ping, and lost if the session is."""
        self._session.leases.append(self)
        if self._session.lost_reason is not None:
            self.lose(f"its session is lost: {self._session.lost_reason}")

    def leave(self) -> None:
        """Is asked after no longer."""
        if self in self._session.leases:
            self._session.leases.remove(self)

    @property
    def lost_at(self) -> float:
        return self._session.lost_at


class SlotHolding(Holding):
    """A slot of a limit on concurrency."""

    def __init__(self, policy: str, key: str, slot: str, term: Term) -> None:
        super().__init__(term)
        self.policy, self.key, self.slot = policy, key, slot

    def renewals(self) -> list[Command]:
        return [["RL.RENEW", self.policy, self.key, self.slot, "TTL", milliseconds(self.term.length)]]

    def judge(self, replies: Sequence[Any]) -> str | None:
        if not _lost_by(replies[0]) and int(replies[0]) == 0:
            return "the server says that the slot is not held any more"
        return None


#: Why holdings are lost that their client no longer renews.
CLOSED = "its client was closed, and renews it no longer"

#: Why what was held before a fork is lost in the new process.
FORKED = "it belongs to the process that this one was forked from"


class Book:
    """All holdings of a client.  Whoever calls it sees to it that nobody else does at the same time."""

    def __init__(self) -> None:
        self._holdings: set[Holding] = set()

    def add(self, holding: Holding) -> None:
        self._holdings.add(holding)

    def remove(self, holding: Holding) -> None:
        self._holdings.discard(holding)

    def next_due(self) -> float | None:
        """When the next renewal is due."""
        return min((holding.due_at for holding in self._holdings), default=None)

    def next_end(self) -> float | None:
        """When the next holding is lost unless it is renewed before."""
        return min((holding.lost_at for holding in self._holdings), default=None)

    def due(self, now: float) -> list[Holding]:
        """What to renew now, if anything is due."""
        next_due = self.next_due()
        if next_due is None or next_due > now:
            return []
        return [holding for holding in self._holdings if holding.due_at <= now + holding.term.length * TOGETHER]

    def look(self, now: float) -> None:
        """Drops what is lost by now."""
        for holding in list(self._holdings):
            if holding.look(now):
                self.remove(holding)

    def lose_all(self, reason: str) -> None:
        """Loses whatever is left."""
        for holding in self._holdings:
            holding.lose(reason)
        self._holdings.clear()

    def inherit(self) -> None:
        """Notes in a fork that all of it belongs to the process that forked."""
        for holding in self._holdings:
            holding.inherit()

    def settle(
        self, batch: Sequence[Holding], commands: Sequence[Sequence[Command]], replies: Sequence[Any], sent_at: float
    ) -> None:
        """Takes the replies of a batch of renewals."""
        rest = iter(replies)
        for holding, asked in zip(batch, commands, strict=True):
            own = [next(rest) for _ in asked]
            if holding.is_released or holding.lost_reason is not None:
                continue
            try:
                reason = holding.judge(own)
            except ResponseError:
                # A server that is loading, or has no disk, may yet answer in time.
                holding.due_at = holding.term.again_at(sent_at)
                continue
            if reason is not None:
                holding.lose(reason)
                self.remove(holding)
            else:
                holding.term = Term(holding.term.length, sent_at)
                holding.due_at = holding.term.due_at()

    def fail(self, batch: Sequence[Holding], now: float) -> None:
        """Notes that a batch of renewals has had no answer."""
        for holding in batch:
            holding.due_at = holding.term.again_at(now)


def patience(batch: Sequence[Holding], now: float) -> float:
    """How long to wait for the answer to these renewals."""
    left = min(holding.lost_at for holding in batch) - now
    return min(max(left * PATIENCE, PATIENCE_MIN), PATIENCE_MAX)
