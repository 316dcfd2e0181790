"""The same for asyncio: ``quartet_client.aio.Quartet`` wraps a ``redis.asyncio.Redis``.

Everything is renewed by one task of the client.  A program that blocks the event loop stops renewals too; ``raise_if_lost``
asks the clock, and so tells the truth even then.
"""

from .client import Quartet, Session
from .leases import Held, Lease, Slot
from .limits import Limiter, Reservation
from .locks import Lock, Semaphore

__all__ = ["Held", "Lease", "Limiter", "Lock", "Quartet", "Reservation", "Semaphore", "Session", "Slot"]
