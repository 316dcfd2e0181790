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
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import redis

#: Looks at a condition before a test gives up.
LOOKS_MAX = 6000

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
    """A Quartet server, or another program that takes ``--port`` if it is given."""

    def __init__(self, *arguments: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="quartet-client-"))
        self.arguments, self.port = arguments, 0
        self.start()

    def start(self) -> None:
        program = os.environ.get("QUARTET", "quartet")
        ports = self.folder / "ports.json"
        ports.unlink(missing_ok=True)
        command = [
            program,
            "--port",
            str(self.port),
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


def other_server() -> tuple[subprocess.Popen[bytes], int] | None:
    """A redis-server, if there is one."""
    program = shutil.which("redis-server")
    if program is None:
        return None
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [program, "--port", str(port), "--save", "", "--bind", "127.0.0.1"], stdout=subprocess.DEVNULL
    )

    def answers() -> bool:
        try:
            return bool(redis.Redis(port=port).ping())
        except redis.ConnectionError:
            return False

    wait_for(answers)
    return process, port


class Relay:
    """Passes bytes to a port, until it is cut."""

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._target, self._tls = port, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        #: New connections are closed at once.
        self.is_cut = False
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
        for connection in self._open:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._open.clear()

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
            server = socket.create_connection(("127.0.0.1", self._target))
        except OSError:
            client.close()
            return
        self._open += [client, server]
        threading.Thread(target=_pass, args=(client, server), daemon=True).start()
        _pass(server, client)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()


def _pass(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
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
