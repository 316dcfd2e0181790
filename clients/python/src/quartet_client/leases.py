"""Leases and slots that a client holds, and what they have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from . import requests
from .errors import LockLost, NotHeld
from .holdings import Holding, LockHolding, SessionHolding, SessionLeaseHolding, SlotHolding
from .terms import now

if TYPE_CHECKING:
    from .client import Quartet

OnLost = Callable[["Held"], None]
"""Called once when something is lost, by another thread; it should be quick."""


class Held:
    """Something that is renewed until it is released, or lost.

    As a context manager it is released at the end of the block.  If it was lost meanwhile, the end of the block raises
    LockLost, unless the block has raised something itself.
    """

    def __init__(self, client: Quartet, holding: Holding, on_lost: OnLost | None) -> None:
        self._client, self._holding = client, holding
        #: Set once it is lost.
        self.lost = threading.Event()
        self._on_lost = on_lost
        holding.announce, holding.disown = self._announce, self._disown

    def _announce(self) -> None:
        self.lost.set()
        if self._on_lost is not None:
            # The renewal goes on, whatever the callback does.
            threading.Thread(target=self._on_lost, args=(self,), name="quartet-lost", daemon=True).start()

    def _disown(self) -> None:
        # Another thread may have been at work in the event that the process that forked has.
        self.lost = threading.Event()
        self.lost.set()

    @property
    def lost_reason(self) -> str | None:
        """Why it was lost, or None."""
        return self._holding.lost_reason

    @property
    def is_lost(self) -> bool:
        """Whether it is lost by now.  The clock is asked, so a program that was paused is told the truth as well."""
        return self._client._renewal.look(self._holding)

    def raise_if_lost(self) -> None:
        """Raises LockLost if it is lost by now, and NotHeld if it was released."""
        if self.is_lost:
            raise LockLost(f"{self._name()} is lost: {self.lost_reason}")
        if self._holding.is_released:
            raise NotHeld(f"{self._name()} was released, or its session")

    @property
    def remaining(self) -> float:
        """For how many seconds it is certainly held, without a further renewal."""
        return self._holding.remaining(now())

    def _name(self) -> str:
        raise NotImplementedError

    def _give_back(self) -> None:
        """Tells the server; raises NotHeld or LockLost if it was not held there."""
        raise NotImplementedError

    def release(self) -> None:
        """Gives it back.  Raises LockLost if it was lost before, and does nothing if it was released before.

        If the server does not answer it is held no longer, and may be released again, which is the same request.
        """
        is_to_be_told = self._client._renewal.release(self._holding)
        if is_to_be_told is None:
            return
        if not is_to_be_told:
            raise LockLost(f"{self._name()} is lost: {self.lost_reason}")
        try:
            self._give_back()
        except (NotHeld, LockLost) as error:
            self._client._renewal.lose(self._holding, "it was forced, or its lease ended")
            raise LockLost(f"{self._name()} was lost before its release: {error}") from error
        except BaseException:
            self._client._renewal.unanswered(self._holding)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.release()
        except Exception as failure:
            if error is None:
                raise
            error.add_note(f"{failure}")


class Lease(Held):
    """One grant of a lock, a semaphore or several resources together."""

    _holding: LockHolding

    @property
    def resources(self) -> tuple[str, ...]:
        """The resources that are held."""
        return self._holding.resources

    @property
    def owner(self) -> str:
        """Who holds it."""
        return self._holding.owner

    @property
    def fencing_token(self) -> int:
        """A number larger than those of all grants before: whatever the lock protects can refuse a smaller one."""
        return self._holding.fencing_token

    def fenced_set(self, key: str, value: str | bytes, expires: float | None = None) -> None:
        """Writes into Quartet's cache only if this grant still holds; both is one step.  Raises LockLost otherwise."""
        self.raise_if_lost()
        command = requests.fenced_set(key, value, self.resources[0], self.fencing_token, expires)
        try:
            self._client._transport.call(command)
        except LockLost as error:
            self._client._renewal.lose(self._holding, str(error))
            raise

    def _name(self) -> str:
        return ", ".join(self.resources)

    def _give_back(self) -> None:
        if isinstance(self._holding, SessionLeaseHolding):
            self._client._renewal.forget(self._holding)
        self._client._transport.call(
            requests.release(self.resources, self.owner, self.fencing_token, self._holding.release_id)
        )


class Slot(Held):
    """A slot of a limit on concurrency."""

    _holding: SlotHolding

    def _name(self) -> str:
        return f"the slot of {self._holding.key} under {self._holding.policy}"

    def _give_back(self) -> None:
        slot = self._holding
        if not self._client._transport.call(["RL.LEAVE", slot.policy, slot.key, slot.slot]):
            raise NotHeld("the slot is not held any more")


class SessionHeld(Held):
    """What a session has in common with other holdings."""

    _holding: SessionHolding

    @property
    def name(self) -> str:
        """The name that the server gave it."""
        return self._holding.name

    def _name(self) -> str:
        return f"the session {self.name}"

    def _give_back(self) -> None:
        self._client._renewal.end(self._holding)
        self._client._transport.call(["LOCK.SESSION", "CLOSE", self.name, "REQID", self._holding.release_id])
