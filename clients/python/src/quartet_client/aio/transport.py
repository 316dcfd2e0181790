"""Connections of our own, as ``quartet_client.transport`` has them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, ResponseError, TimeoutError

from ..errors import translated
from ..requests import Command
from ..transport import IDLE_MAX, connection_settings


class Transport:
    """Sends commands and waits for the replies as long as it is told."""

    def __init__(self, client: redis.asyncio.Redis, timeout: float) -> None:
        pool = client.connection_pool
        self._connection_class: Any = pool.connection_class
        self._settings = connection_settings(pool.connection_kwargs, Retry(NoBackoff(), 0), None)
        self._settings["socket_connect_timeout"] = timeout
        self._timeout = timeout
        self._idle: list[Any] = []
        self._is_closed = False

    async def call(self, command: Command, wait: float = 0.0) -> Any:
        """The reply of a command that may wait so long in the server.  Raises the errors of this package."""
        try:
            (reply,) = await self.batch([command], self._timeout + wait)
        except ConnectionError:
            await self._drop_idle()
            (reply,) = await self.batch([command], self._timeout + wait)
        if isinstance(reply, ResponseError):
            raise translated(reply) from reply
        return reply

    async def batch(self, commands: Sequence[Command], timeout: float) -> list[Any]:
        """The replies of several commands, in which errors of the server are values."""
        connection = self._idle.pop() if self._idle else self._connection_class(**self._settings)
        try:
            async with asyncio.timeout(timeout):
                await connection.send_packed_command(connection.pack_commands(commands), check_health=False)
                replies = [await self._read(connection) for _ in commands]
        except BaseException as error:
            # The server withdraws what it has not answered yet.
            await connection.disconnect(nowait=True)
            if isinstance(error, asyncio.TimeoutError):
                raise TimeoutError("the server has not answered in time") from error
            raise
        if len(self._idle) < IDLE_MAX and not self._is_closed:
            self._idle.append(connection)
        else:
            await connection.disconnect(nowait=True)
        return replies

    @staticmethod
    async def _read(connection: Any) -> Any:
        try:
            return await connection.read_response()
        except ResponseError as error:
            return error

    async def close(self) -> None:
        """Closes what is idle, and what is in use once it is not."""
        self._is_closed = True
        await self._drop_idle()

    async def _drop_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            await connection.disconnect(nowait=True)
