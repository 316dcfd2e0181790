"""Names for the owners of locks: one for each thread or task, so that the server can tell when they are in a deadlock."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import threading
import uuid
import weakref

#: The longest name of an owner that the server takes is 256 bytes.
_HOST = socket.gethostname()[:64]


class ThreadOwners:
    """An owner for each thread."""

    def __init__(self) -> None:
        self._names = threading.local()

    def current(self) -> str:
        """The owner of the thread that asks."""
        process = os.getpid()
        if getattr(self._names, "process", None) != process:
            self._names.process = process
            self._names.name = f"{_HOST}:{process}:{uuid.uuid4().hex[:12]}"
        return str(self._names.name)


class TaskOwners:
    """An owner for each task."""

    def __init__(self) -> None:
        self._prefix = f"{_HOST}:{os.getpid()}:{uuid.uuid4().hex[:12]}"
        self._numbers = itertools.count(1)
        self._names: weakref.WeakKeyDictionary[asyncio.Task[object], str] = weakref.WeakKeyDictionary()

    def current(self) -> str:
        """The owner of the task that asks."""
        task = asyncio.current_task()
        assert task is not None, "locks are taken in tasks"
        if task not in self._names:
            self._names[task] = f"{self._prefix}:{next(self._numbers)}"
        return self._names[task]
