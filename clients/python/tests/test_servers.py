"""Servers that ask for a password, speak TLS, speak the older protocol, or are not Quartet."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import redis
from servers import Relay, Server, certificate, name, redis_server

from quartet_client import NotQuartet, Quartet


def test_password(tmp_path: Path) -> None:
    with Server("--requirepass", "sesame") as server:
        with Quartet.from_url(f"redis://:sesame@127.0.0.1:{server.port}") as quartet, quartet.lock(name()):
            pass
        with (
            Quartet(redis.Redis(port=server.port, password="wrong")) as quartet,
            pytest.raises(redis.AuthenticationError),
        ):
            quartet.lock(name()).acquire()


def test_tls(shared_server: Server, tmp_path: Path) -> None:
    chain, key = certificate(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    with Relay(shared_server.port, context) as relay:
        url = f"rediss://127.0.0.1:{relay.port}"
        resource = name()
        with Quartet.from_url(url, ssl_ca_certs=str(chain)) as quartet, quartet.lock(resource, ttl=1.2):
            assert shared_server.held(resource) > 0
        with Quartet.from_url(url) as quartet, pytest.raises(redis.ConnectionError):
            quartet.lock(resource).acquire()


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("decode", [False, True])
def test_both_protocols(shared_server: Server, protocol: int, decode: bool) -> None:
    client = redis.Redis(port=shared_server.port, protocol=protocol, decode_responses=decode)
    with Quartet(client) as quartet:
        with quartet.session() as session, session.lock(name()) as lease:
            assert lease.fencing_token > 0
        with quartet.lock(name()) as lease, quartet.limiter().reserve(name("key"), 2) as reservation:
            assert reservation.decision.policy == "default"
            assert quartet.limiter().check(name("key"), 3, up_to=True).taken == 3


def test_a_pool_that_is_used_up_does_not_matter(shared_server: Server) -> None:
    make_pool: Any = redis.BlockingConnectionPool
    pool = make_pool(port=shared_server.port, max_connections=1, timeout=1)
    client = redis.Redis(connection_pool=pool)
    taken = pool.get_connection()
    with Quartet(client) as quartet, quartet.lock(name()):
        pass
    pool.release(taken)


def test_a_server_that_is_not_quartet() -> None:
    with redis_server() as url, Quartet.from_url(url) as quartet:
        for ask in (quartet.lock("x").acquire, quartet.session, lambda: quartet.limiter().check("x")):
            with pytest.raises(NotQuartet, match="give the client the address of a Quartet server"):
                ask()
