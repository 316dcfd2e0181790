"""Connections of our own, made as those of the client that the user has configured: same address, password and TLS.

Waiting for a lock takes as long as the caller is willing to wait, and a renewal must not wait for a connection that others
use; neither goes with the pool and the timeouts of the user's client.  Nothing is repeated here but what may be: requests
that have an id, and those that only cost somebody a little of a limit.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ResponseError, TimeoutError
from redis.retry import Retry

from . import forks
from .errors import translated
from .requests import Command
from .terms import now

#: Most connections that are kept for the next request.
IDLE_MAX = 16

#: Settings of a pool that belong to the pool itself, or to retries, which are made here.
_NOT_PASSED_ON = ("maint_notifications", "orig_", "oss_cluster", "retry", "health_check_interval")


def connection_settings(settings: Mapping[str, Any], retry: object, timeout: float | None) -> dict[str, Any]:
    """The settings for connections of our own, from those of a pool."""
    kept = {name: value for name, value in settings.items() if not name.startswith(_NOT_PASSED_ON)}
    return {**kept, "decode_responses": False, "retry": retry, "socket_timeout": timeout}


class Transport:
    """Sends commands and waits for the replies as long as it is told."""

    def __init__(self, client: redis.Redis, timeout: float) -> None:
        pool = client.connection_pool
        self._connection_class: Any = pool.connection_class
        self._settings = connection_settings(pool.connection_kwargs, Retry(NoBackoff(), 0), timeout)
        self._timeout = timeout
        self._idle: list[Any] = []
        self._is_closed = False
        self._lock = threading.Lock()
        forks.tell(self)

    def call(self, command: Command, wait: float = 0.0) -> Any:
        """The reply of a command that may wait so long in the server.  Raises the errors of this package."""
        # A connection that was idle may have been closed meanwhile, and a server may just have started again.
        try:
            (reply,) = self.batch([command], self._timeout + wait)
        except ConnectionError:
            self._drop_idle()
            (reply,) = self.batch([command], self._timeout + wait)
        if isinstance(reply, ResponseError):
            raise translated(reply) from reply
        return reply

    def batch(self, commands: Sequence[Command], timeout: float) -> list[Any]:
        """The replies of several commands, in which errors of the server are values."""
        until = now() + timeout
        connection = self._take()
        connection.socket_connect_timeout = min(timeout, self._timeout)
        try:
            connection.send_packed_command(connection.pack_commands(commands), check_health=False)
            replies = [self._read(connection, until) for _ in commands]
        except BaseException:
            # The server withdraws what it has not answered yet.
            connection.disconnect()
            raise
        self._give_back(connection)
        return replies

    @staticmethod
    def _read(connection: Any, until: float) -> Any:
        if not connection.can_read(timeout=max(0.0, until - now())):
            raise TimeoutError("the server has not answered in time")
        try:
            return connection.read_response()
        except ResponseError as error:
            return error

    def _take(self) -> Any:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._connection_class(**self._settings)

    def _give_back(self, connection: Any) -> None:
        with self._lock:
            if len(self._idle) < IDLE_MAX and not self._is_closed:
                self._idle.append(connection)
                return
        connection.disconnect()

    def close(self) -> None:
        """Closes what is idle, and what is in use once it is not."""
        self._is_closed = True
        self._drop_idle()

    def _drop_idle(self) -> None:
        """Closes what is idle: the other end of the one has closed it, and so probably those of the others."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.disconnect()

    def after_fork(self) -> None:
        """The connections of the process that forked are its own."""
        self._lock, self._idle = threading.Lock(), []
