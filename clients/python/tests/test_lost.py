"""Locks that are lost: the holder is told in time, and nothing goes on silently."""

from __future__ import annotations

import os
import threading
import traceback

import pytest
import redis
from servers import KEPT, Relay, Server, name, wait_for

from quartet_client import Held, LockLost, NotHeld, Quartet
from quartet_client.terms import now

#: Seconds of a lease that a test loses.
SHORT = 1.2


def test_forced(shared_server: Server, quartet: Quartet) -> None:
    resource = name()
    told: list[Held] = []
    called = threading.Event()

    def on_lost(held: Held) -> None:
        told.append(held)
        called.set()

    with pytest.raises(LockLost, match=resource), quartet.lock(resource, ttl=SHORT, on_lost=on_lost) as lease:
        shared_server.command("LOCK.FORCE", resource)
        assert lease.lost.wait(60)
        assert called.wait(60)
        assert lease.is_lost and "not held any more" in (lease.lost_reason or "")
        with pytest.raises(LockLost):
            lease.raise_if_lost()
    assert told == [lease]


def test_forced_and_noticed_at_the_release(shared_server: Server, quartet: Quartet) -> None:
    resource = name()
    with pytest.raises(LockLost), quartet.lock(resource) as lease:
        shared_server.command("LOCK.FORCE", resource)
    assert lease.is_lost and lease.lost.is_set()


def test_what_the_block_raises_goes_first(shared_server: Server, quartet: Quartet) -> None:
    resource = name()
    with pytest.raises(KeyError) as caught, quartet.lock(resource):
        shared_server.command("LOCK.FORCE", resource)
        raise KeyError("of the block")
    assert any("lost" in note for note in caught.value.__notes__)


def test_server_stops(own_server: Server) -> None:
    with Quartet.from_url(own_server.url) as quartet:
        with pytest.raises(LockLost), quartet.lock(name(), ttl=SHORT) as lease:
            own_server.stop()
            assert lease.lost.wait(60)


def test_server_starts_again_without_the_lock(own_server: Server) -> None:
    with Relay(own_server.port) as relay, Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as quartet:
        with pytest.raises(LockLost), quartet.lock(name(), ttl=30.0) as lease:
            own_server.stop()
            own_server.start()
            relay.target = own_server.port
        assert lease.lost.is_set()


def test_server_paused(own_server: Server) -> None:
    resource = name()
    with Quartet.from_url(own_server.url) as quartet, pytest.raises(LockLost):
        began_at = now()
        with quartet.lock(resource, ttl=SHORT) as lease:
            own_server.pause()
            assert lease.lost.wait(60)
            # The server cannot have granted it to anybody: its lease is as long as the last renewal says, or longer.
            assert now() - began_at >= SHORT / 2
            assert lease._holding.term.began_at + SHORT > lease._holding.lost_at
            own_server.resume()


def test_told_before_anybody_else_is_granted_it(own_server: Server) -> None:
    resource = name()
    with Relay(own_server.port) as relay, Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as cut_off:
        with Quartet.from_url(own_server.url) as other:
            lease = cut_off.lock(resource, ttl=SHORT, owner="cut off").acquire()
            relay.cut()
            with other.lock(resource, owner="other") as next_lease:
                assert lease.is_lost
                assert next_lease.fencing_token > lease.fencing_token


def test_connection_cut_and_back(shared_server: Server, relay: Relay) -> None:
    resource = name()
    with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as quartet, quartet.lock(resource, ttl=KEPT) as lease:
        for _ in range(4):
            relay.close_all()
            relay.wait_for_another()
        assert not lease.is_lost
    assert shared_server.held(resource) == 0


def test_connection_cut_while_it_waits(shared_server: Server, relay: Relay) -> None:
    resource = name()
    with Quartet.from_url(shared_server.url) as here, Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as there:
        first = here.lock(resource, owner="first").acquire()
        granted: list[int] = []

        def wait() -> None:
            with there.lock(resource, owner="second") as lease:
                granted.append(lease.fencing_token)

        waiter = threading.Thread(target=wait)
        waiter.start()
        wait_for(lambda: shared_server.command("LOCK.WAITS", "RESOURCE", resource))
        relay.close_all()
        relay.wait_for_another()
        wait_for(lambda: shared_server.command("LOCK.WAITS", "RESOURCE", resource))
        first.release()
        waiter.join()
        assert granted[0] > first.fencing_token


def test_session_lost(shared_server: Server, quartet: Quartet) -> None:
    with pytest.raises(LockLost), quartet.session(ttl=SHORT) as session:
        lease = session.lock(name()).acquire()
        shared_server.command("LOCK.SESSION", "CLOSE", session.name)
        assert lease.lost.wait(60) and session.lost.wait(60)
        with pytest.raises(LockLost):
            lease.release()


def test_session_of_a_server_that_stops(own_server: Server) -> None:
    with Quartet.from_url(own_server.url) as quartet:
        with pytest.raises(LockLost), quartet.session(ttl=SHORT) as session:
            lease = session.lock(name()).acquire()
            own_server.stop()
            assert lease.lost.wait(60) and session.lost.wait(60)


def test_the_clock_tells_without_a_thread(quartet: Quartet) -> None:
    lease = quartet.lock(name(), ttl=SHORT).acquire()
    # As after a pause of the whole program, in which no thread ran: they know nothing of the lease.
    quartet._renewal._book.remove(lease._holding)
    wait_for(lambda: lease.is_lost)
    assert lease.lost.is_set()


def test_a_client_that_is_closed_renews_nothing(shared_server: Server) -> None:
    with Quartet.from_url(shared_server.url) as quartet:
        lease = quartet.lock(name()).acquire()
        threads = quartet._renewal.threads
    assert lease.lost.is_set() and "closed" in (lease.lost_reason or "")
    with pytest.raises(LockLost):
        lease.release()
    wait_for(lambda: not any(thread.is_alive() for thread in threads))


def test_a_fork_has_connections_of_its_own(quartet: Quartet, shared_server: Server) -> None:
    resource = name()
    with quartet.lock(resource, ttl=KEPT):
        child = os.fork()
        if child == 0:
            os._exit(0 if _works_in_a_fork(quartet, resource) else 1)
        assert os.waitpid(child, 0)[1] == 0
        wait_for(lambda: shared_server.held(resource) > 1.2 * KEPT * 1000)


def _works_in_a_fork(quartet: Quartet, held_outside: str) -> bool:
    try:
        with quartet.lock(name(), ttl=KEPT) as lease:
            began_at = lease._holding.term
            wait_for(lambda: lease._holding.term is not began_at)
            return quartet.lock(held_outside).try_acquire() is None
    except BaseException:
        traceback.print_exc()
        return False


def test_a_fork_leaves_the_locks_to_its_parent(quartet: Quartet, shared_server: Server) -> None:
    resource = name()
    with quartet.session(ttl=KEPT) as session, session.lock(name()) as kept, quartet.lock(resource) as lease:
        # Another thread may be at work in the client at this moment, and is not there to go on in the fork.
        with quartet._renewal._changed, quartet._transport._lock:
            child = os.fork()
        if child == 0:
            os._exit(0 if _holds_nothing(lease, kept, session) else 1)
        assert os.waitpid(child, 0)[1] == 0
        for held in (lease, kept, session):
            held.raise_if_lost()
        assert shared_server.held(resource) > 0


def _holds_nothing(*inherited: Held) -> bool:
    try:
        for held in inherited:
            assert held.is_lost and held.lost.is_set() and "fork" in (held.lost_reason or "")
            with pytest.raises(LockLost):
                held.release()
        return True
    except BaseException:
        traceback.print_exc()
        return False


def test_a_session_that_is_closed_gives_its_leases_back(quartet: Quartet) -> None:
    session = quartet.session()
    lease = session.lock(name()).acquire()
    session.release()
    # Nobody took it away, but whoever still works under it learns that it is over.
    assert not lease.lost.is_set() and lease.remaining == 0.0
    with pytest.raises(NotHeld, match="released"):
        lease.raise_if_lost()
    lease.release()


def test_nothing_goes_on_behind_a_release(quartet: Quartet) -> None:
    lease = quartet.lock(name()).acquire()
    lease.release()
    assert lease.remaining == 0.0 and not lease.lost.is_set()
    with pytest.raises(NotHeld, match="released"):
        lease.raise_if_lost()
    lease.release()


def test_a_release_that_does_not_reach_the_server_is_tried_again(shared_server: Server, relay: Relay) -> None:
    resource = name()
    with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as quartet:
        lease = quartet.lock(resource).acquire()
        relay.cut()
        with pytest.raises(redis.ConnectionError):
            lease.release()
        relay.is_cut = False
        assert shared_server.held(resource) > 0
        lease.release()
        assert shared_server.held(resource) == 0


def test_a_release_whose_reply_is_lost_is_made_once(shared_server: Server, relay: Relay, quartet: Quartet) -> None:
    resource = name()
    with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as there:
        lock = there.lock(resource, reentrant=True, owner="both")
        outer, inner = lock.acquire(), lock.acquire()
        for lease in (inner, outer):
            relay.loses_replies = True
            for _ in range(2):
                with pytest.raises(redis.ConnectionError):
                    lease.release()
                assert lease.remaining == 0.0 and not lease.is_lost
                with pytest.raises(NotHeld, match="released"):
                    lease.raise_if_lost()
            relay.loses_replies = False
            if lease is inner:
                lease.release()
                outer.raise_if_lost()
                assert shared_server.held(resource) > 0
        # Somebody else holds it by now, and goes on.
        with quartet.lock(resource).acquire(wait=0.0):
            outer.release()
            outer.release()
            assert shared_server.held(resource) > 0


def test_a_session_whose_end_is_not_answered_is_ended_once(relay: Relay) -> None:
    with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as there:
        session = there.session()
        lease = session.lock(name()).acquire()
        relay.loses_replies = True
        with pytest.raises(redis.ConnectionError):
            session.release()
        for held in (session, lease):
            assert held.remaining == 0.0
            with pytest.raises(NotHeld, match="released"):
                held.raise_if_lost()
        relay.loses_replies = False
        session.release()
        lease.release()


def test_a_release_that_comes_too_late_says_so(shared_server: Server, relay: Relay) -> None:
    resource = name()
    with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as there:
        lease = there.lock(resource).acquire()
        relay.cut()
        with pytest.raises(redis.ConnectionError):
            lease.release()
        shared_server.command("LOCK.FORCE", resource)
        relay.is_cut = False
        with pytest.raises(LockLost, match="before its release"):
            lease.release()
        assert lease.is_lost and lease.remaining == 0.0


def test_a_lease_is_given_back_once_whoever_releases_it(quartet: Quartet) -> None:
    resource = name()
    semaphore = quartet.semaphore(resource, 16, owner="all")
    for _ in range(20):
        lease, other = semaphore.acquire(), semaphore.acquire()
        errors: list[BaseException] = []
        together = threading.Barrier(4)

        def release(lease: Held = lease, together: threading.Barrier = together) -> None:
            together.wait()
            try:
                lease.release()
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=release) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        other.release()


def test_many_idle_connections_that_are_closed_do_not_matter(relay: Relay) -> None:
    with Quartet.from_url(f"redis://127.0.0.1:{relay.port}") as quartet:
        idle = [quartet._transport._take() for _ in range(4)]
        for connection in idle:
            connection.connect()
            quartet._transport._give_back(connection)
        relay.close_all()
        with quartet.lock(name()) as lease:
            assert lease.fencing_token > 0
