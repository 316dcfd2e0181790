"""What can go wrong, each with a type of its own.

Errors of the connection (``redis.ConnectionError``, ``redis.TimeoutError``) and of access (``redis.AuthenticationError``)
are passed on as redis-py raises them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from redis.exceptions import ResponseError

if TYPE_CHECKING:
    from .replies import Decision


class QuartetError(Exception):
    """The base of all errors of this package."""


class NotAcquired(QuartetError):
    """The resource was not granted in the time that the caller was willing to wait."""


class LockLost(QuartetError):
    """The lease has ended, or may have, before its holder released it: somebody else may hold the resource."""


class NotHeld(QuartetError):
    """A release was asked of a lock that this owner does not hold."""


class Deadlock(QuartetError):
    """The wait would never have ended.  ``waits`` names owners and resources in turn, from this owner back to it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.waits = message.removeprefix("DEADLOCK ").split(" > ")


class OwnerWaits(QuartetError):
    """The owner waits already.  Two threads of control need two owners: leave ``owner`` out, or give each its own."""


class WaitCancelled(QuartetError):
    """Somebody has ended this wait with LOCK.CANCEL."""


class RateLimited(QuartetError):
    """A limit refuses the request; ``decision`` says which one, and when to come back."""

    def __init__(self, decision: Decision) -> None:
        after = "" if decision.retry_after is None else f"; retry after {decision.retry_after:.3f} s"
        super().__init__(f"the limit {decision.policy or 'of this request'} refuses it{after}")
        self.decision = decision


class NotQuartet(QuartetError):
    """The server does not know the commands of Quartet."""


def translated(error: ResponseError) -> Exception:
    """The error of this package for an error that the server has answered, or that error itself."""
    message = str(error)
    word = message.split(" ", 1)[0]
    if "unknown command" in message.lower():
        return NotQuartet(
            f"the server is not Quartet, or is older than 0.1 ({message.strip()}): "
            "give the client the address of a Quartet server, whose port for the Redis protocol is 6379 unless changed"
        )
    match word:
        case "DEADLOCK":
            return Deadlock(message)
        case "LOCKWAITS":
            return OwnerWaits(f"{message}: give each thread of control its own owner")
        case "NOTHELD":
            return NotHeld(message)
        case "NOSESSION":
            return LockLost("the session has ended, and its locks with it")
        case "FENCED":
            return LockLost("the resource is no longer held under this fencing token: nothing was written")
        case "CANCELLED":
            return WaitCancelled("the wait was ended with LOCK.CANCEL")
        case _:
            return error
