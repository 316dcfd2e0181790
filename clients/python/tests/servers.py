"""Server processes, and relays to them that can be cut or speak TLS."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest
import redis

#: Looks at a condition before a test gives up.
LOOKS_MAX = 6000

#: Seconds of a lease that a test outlives and must not lose, though renewal comes late on a busy machine.
KEPT = 5.0

_numbers = itertools.count()


def name(word: str = "resource") -> str:
    """A name that no other test uses."""
    return f"{word}-{os.getpid()}-{next(_numbers)}"


def wait_for(condition: Callable[[], object]) -> None:
    """Waits until a condition holds."""
    for _ in range(LOOKS_MAX):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError("it did not come about")


class Server:
    """A Quartet server: the program that the environment variable QUARTET names, or quartet on the path."""

    #: Where it listens, which is another port each time it starts.
    port: int

    def __init__(self, *arguments: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="quartet-client-"))
        self.arguments = arguments
        self.start()

    def start(self) -> None:
        program = os.environ.get("QUARTET", "quartet")
        ports = self.folder / "ports.json"
        ports.unlink(missing_ok=True)
        command = [
            program,
            "--port",
            "0",
            "--http-port",
            "off",
            "--broker-port",
            "off",
            "--ports-file",
            str(ports),
        ]
        self.process = subprocess.Popen(
            [*command, "--dir", "", *self.arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(lambda: ports.exists() or self.process.poll() is not None)
        assert self.process.poll() is None, "the server ended before it served"
        self.port = int(json.loads(ports.read_text())["resp"].rsplit(":", 1)[1])

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}"

    def redis(self) -> redis.Redis:
        return redis.Redis(port=self.port, protocol=3, decode_responses=True)

    def command(self, *arguments: str) -> Any:
        """The reply of the server to any command."""
        client: Any = self.redis()
        return client.execute_command(*arguments)

    def held(self, resource: str) -> int:
        """For how many milliseconds the resource is held; 0 if it is not."""
        found = self.command("LOCK.INFO", resource)
        return int(found["holders"][0]["held_ms"]) + 1 if found and found["holders"] else 0

    def pause(self) -> None:
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        shutil.rmtree(self.folder)


@contextmanager
def redis_server() -> Iterator[str]:
    """The URL of a redis-server, if there is one.

    It listens on a Unix socket behind a relay: it takes only ports that are chosen before, which others may take first.
    """
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("there is no redis-server")
    with tempfile.TemporaryDirectory(prefix="quartet-client-") as folder:
        path = f"{folder}/redis"
        command = [program, "--port", "0", "--unixsocket", path, "--save", "", "--dir", folder]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process, Relay(path) as relay:
            try:
                wait_for(lambda: _is_served(path) or process.poll() is not None)
                yield f"redis://127.0.0.1:{relay.port}"
            finally:
                process.kill()


class Relay:
    """Passes bytes to a port, or to a Unix socket at a path, until it is cut."""

    def __init__(self, target: int | str, tls: ssl.SSLContext | None = None) -> None:
        #: Where it connects to for those who connect from now on.
        self.target = target
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        #: New connections are closed at once.
        self.is_cut = False
        #: What a server answers is lost, and the connection with it.
        self.loses_replies = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Closes all connections and lets no new one through."""
        self.is_cut = True
        self.close_all()

    def wait_for_another(self) -> None:
        """Waits until somebody has connected since all connections were closed."""
        wait_for(lambda: self._open)

    def close_all(self) -> None:
        """Closes all connections; new ones come through."""
        # Whoever is cut off may connect again before all are.
        with self._lock:
            closing, self._open = self._open, []
        for connection in closing:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.is_cut:
                client.close()
                continue
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            server = _connected_to(self.target)
        except OSError:
            client.close()
            return
        with self._lock:
            self._open += [client, server]
        threading.Thread(target=_pass, args=(client, server), daemon=True).start()
        _pass(server, client, lambda: self.loses_replies)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()


def _connected_to(target: int | str) -> socket.socket:
    if isinstance(target, int):
        return socket.create_connection(("127.0.0.1", target))
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(target)
    return connection


def _is_served(path: str) -> bool:
    """Whether somebody accepts connections at this Unix socket."""
    try:
        _connected_to(path).close()
    except OSError:
        return False
    return True


def _pass(source: socket.socket, target: socket.socket, is_lost: Callable[[], bool] = lambda: False) -> None:
    try:
        while (data := source.recv(65536)) and not is_lost():
            target.sendall(data)
    except OSError:
        pass
    try:
        target.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    chain, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        + ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(chain)],
        check=True,
        capture_output=True,
    )
    return chain, key
