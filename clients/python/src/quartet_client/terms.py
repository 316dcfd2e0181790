"""How long a lease certainly lasts, by this machine's clock.

The server's clock is never compared with ours.  A lease that the server granted or renewed in answer to a request lasts at
least its full length from the moment the request was sent, since the server got it later.  A lease counts as lost a little
before that time, so that its holder knows it before anybody else can be granted the resource.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass

#: The part of a lease after which it is renewed.
RENEW_AFTER = 1 / 3

#: Renewals come up to this part earlier, so that those of many clients spread.
JITTER = 0.2

#: The part of a lease that is given up at its end, for the time it takes to tell the holder, and at most how much.
MARGIN, MARGIN_MAX = 0.1, 0.5

#: How many times a renewal that failed is tried within a lease, about.
ATTEMPTS = 15

#: The longest lease and wait that the server takes, in seconds.
LONGEST = 30 * 86_400.0

# Time goes on while the machine sleeps, as it does for the server.
_CLOCK = getattr(time, "CLOCK_BOOTTIME", None)


def now() -> float:
    """Seconds of a clock that is never set back."""
    return time.monotonic() if _CLOCK is None else time.clock_gettime(_CLOCK)


@dataclass(frozen=True)
class Term:
    """A lease of ``length`` seconds that began at ``began_at``, or later."""

    length: float
    began_at: float

    @property
    def lost_at(self) -> float:
        """When it counts as lost unless it is renewed before."""
        return self.began_at + self.length - min(self.length * MARGIN, MARGIN_MAX)

    def due_at(self) -> float:
        """When to renew it."""
        return self.began_at + self.length * RENEW_AFTER * (1 - random.random() * JITTER)

    def again_at(self, at: float) -> float:
        """When to try again after an attempt that failed at this time."""
        return at + self.length / ATTEMPTS * (1 - random.random() * JITTER)


def milliseconds(seconds: float) -> int:
    """A time as the server takes it."""
    return max(0, round(seconds * 1000))
