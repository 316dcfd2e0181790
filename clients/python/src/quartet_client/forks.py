"""What a fork leaves behind: threads that do not run in it, and locks that these may hold for ever.

Whoever has such things is told in the new process, before anything else runs there.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Forked(Protocol):
    """Something that has to begin anew in a fork."""

    def after_fork(self) -> None:
        """Forgets what belongs to the process that forked.  No other thread runs."""


_told: weakref.WeakSet[Forked] = weakref.WeakSet()


def tell(part: Forked) -> None:
    """Has it told of forks for as long as it is in use."""
    _told.add(part)


def _after_fork() -> None:
    for part in list(_told):
        part.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
