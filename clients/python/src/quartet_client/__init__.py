"""Locks that renew themselves, semaphores, sessions and rate limits of a Quartet server.

``Quartet`` is the blocking client, ``quartet_client.aio.Quartet`` the one for asyncio.  Middleware is in
``quartet_client.wsgi`` and ``quartet_client.asgi``.
"""

from .client import Quartet, Session
from .errors import (
    Deadlock,
    LockLost,
    NotAcquired,
    NotHeld,
    NotQuartet,
    OwnerWaits,
    QuartetError,
    RateLimited,
    WaitCancelled,
)
from .leases import Held, Lease, Slot
from .limits import Limiter, Reservation
from .locks import Lock, Semaphore
from .replies import Decision
from .requests import Rate

__version__ = "0.1.0"

__all__ = [
    "Deadlock",
    "Decision",
    "Held",
    "Lease",
    "Limiter",
    "Lock",
    "LockLost",
    "NotAcquired",
    "NotHeld",
    "NotQuartet",
    "OwnerWaits",
    "Quartet",
    "QuartetError",
    "Rate",
    "RateLimited",
    "Reservation",
    "Semaphore",
    "Session",
    "Slot",
    "WaitCancelled",
    "__version__",
]
