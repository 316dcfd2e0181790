"""A live server for the tests: the program that the environment variable QUARTET names, or ``quartet`` on the path."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from servers import Relay, Server

from quartet_client import Quartet


@pytest.fixture(scope="session")
def shared_server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may stop."""
    with Server() as server:
        yield server


@pytest.fixture
def relay(shared_server: Server) -> Iterator[Relay]:
    """A way to the shared server that the test may cut."""
    with Relay(shared_server.port) as relay:
        yield relay


@pytest.fixture
def quartet(shared_server: Server) -> Iterator[Quartet]:
    with Quartet.from_url(shared_server.url) as client:
        yield client
