"""The commands that are sent, as lists of arguments."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from .terms import LONGEST, milliseconds

Argument = str | bytes | int
Command = list[Argument]


def request_id() -> str:
    """A name for one request, so that its repetition has the same result."""
    return uuid.uuid4().hex


@dataclass(frozen=True)
class Asked:
    """What is asked of a lock: its resources and how they are held."""

    resources: tuple[str, ...]
    ttl: float
    shared: bool = False
    permits: int = 1
    #: How many permits there are; None for a lock.
    limit: int | None = None
    reentrant: bool = False
    meta: str | None = None

    def acquire(self, owner: str, wait: float | None, session: str | None) -> Command:
        """Asks for all resources together.  Without a time to wait it waits as long as the server lets it."""
        command: Command = ["LOCK.ACQUIRE", self.resources[0], owner]
        if len(self.resources) > 1:
            command = ["LOCK.MACQUIRE", owner, len(self.resources), *self.resources]
        if session is None:
            command += ["TTL", milliseconds(self.ttl)]
        else:
            command += ["SESSION", session]
        if wait is None or wait > 0:
            command += ["WAIT", milliseconds(time_in_server(wait))]
        if self.limit is not None:
            command += ["PERMITS", self.permits, "OF", self.limit]
        elif self.shared:
            command.append("SHARED")
        if self.reentrant:
            command.append("REENTRANT")
        if self.meta is not None:
            command += ["META", self.meta]
        return [*command, "REQID", request_id()]


def time_in_server(wait: float | None) -> float:
    """How long a request may wait in the server."""
    return LONGEST if wait is None else min(wait, LONGEST)


def release(resources: Sequence[str], owner: str, fencing_token: int | None, reqid: str) -> Command:
    """Gives all resources back together."""
    command: Command = ["LOCK.RELEASE", resources[0], owner]
    if len(resources) > 1:
        command = ["LOCK.MRELEASE", owner, len(resources), *resources]
    if fencing_token is not None:
        command += ["FENCE", fencing_token]
    return [*command, "REQID", reqid]


def renew(resources: Sequence[str], owner: str, fencing_token: int, ttl: float) -> list[Command]:
    """Makes all resources last this long from now."""
    last: Command = [owner, "TTL", milliseconds(ttl), "FENCE", fencing_token]
    return [["LOCK.RENEW", resource, *last] for resource in resources]


def open_session(ttl: float, delay: float) -> Command:
    """Opens a session that lasts from ping to ping."""
    command: Command = ["LOCK.SESSION", "OPEN", "TTL", milliseconds(ttl)]
    if delay > 0:
        command += ["DELAY", milliseconds(delay)]
    return [*command, "REQID", request_id()]


def fenced_set(key: str, value: str | bytes, resource: str, fencing_token: int, expires: float | None) -> Command:
    """Writes into Quartet's cache only while the resource is held under this token."""
    command: Command = ["FENCE.SET", key, value, "LOCK", resource, "FENCE", fencing_token]
    return command if expires is None else [*command, "PX", milliseconds(expires)]


@dataclass(frozen=True)
class Rate:
    """A limit that a request states itself, in place of a policy."""

    algorithm: str
    limit: int
    #: In seconds.
    period: float
    burst: int | None = None

    def arguments(self) -> Command:
        command: Command = ["INLINE", self.algorithm, self.limit, milliseconds(self.period)]
        return command if self.burst is None else [*command, "BURST", self.burst]


def check(limit: str | Rate, key: str, cost: int, peek: bool, up_to: bool, wait: float) -> Command:
    """Asks a policy, or a limit that is stated here."""
    command: Command = ["RL.CHECK", key]
    command += ["POLICY", limit] if isinstance(limit, str) else limit.arguments()
    command += ["COST", cost]
    if [peek, up_to, wait > 0].count(True) > 1:
        raise ValueError("peek, up_to and wait exclude one another")
    if peek:
        command.append("PEEK")
    if up_to:
        command.append("UPTO")
    if wait > 0:
        command += ["WAIT", milliseconds(wait)]
    return command


Check = tuple[str, str] | tuple[str, str, int]
"""A policy, a key and a cost, which is 1 unless given."""


def several(checks: Sequence[Check]) -> tuple[Command, int]:
    """The arguments of several checks, and the largest cost."""
    arguments: Command = [len(checks)]
    largest = 0
    for policy, key, *cost in checks:
        amount = int(cost[0]) if cost else 1
        arguments += [policy, key, amount]
        largest = max(largest, amount)
    return arguments, largest


def check_all(checks: Sequence[Check], wait: float) -> tuple[Command, int]:
    """Asks several policies at once, and the largest of the costs."""
    arguments, largest = several(checks)
    command: Command = ["RL.MCHECK", *arguments]
    return [*command, "WAIT", milliseconds(wait)] if wait > 0 else command, largest
