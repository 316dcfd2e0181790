"""Locks: exclusion, waiting, release, and what is refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from servers import KEPT, Server, name, wait_for

from quartet_client import Deadlock, LockLost, NotAcquired, NotHeld, OwnerWaits, Quartet


def test_one_worker_at_a_time_and_tokens_rise(shared_server: Server, quartet: Quartet) -> None:
    resource, counter = name(), name("counter")
    redis = shared_server.redis()
    tokens: list[int] = []

    def work(_: int) -> None:
        for _ in range(20):
            with quartet.lock(resource) as lease:
                # Two steps: without the lock they would overwrite one another.
                value = int(redis.get(counter) or 0)
                tokens.append(lease.fencing_token)
                redis.set(counter, value + 1)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert redis.get(counter) == "160"
    assert len(tokens) == 160
    assert tokens == sorted(set(tokens))


def test_a_lease_is_renewed_many_times(shared_server: Server, quartet: Quartet) -> None:
    resource = name()
    with quartet.lock(resource, ttl=KEPT) as lease:
        wait_for(lambda: shared_server.held(resource) > 1.5 * KEPT * 1000)
        assert not lease.is_lost
        lease.raise_if_lost()
        assert 0 < lease.remaining <= KEPT
    assert shared_server.held(resource) == 0


def test_one_thread_renews_all(shared_server: Server, quartet: Quartet) -> None:
    resources = [name() for _ in range(30)]
    before = _threads()
    with ExitStack() as stack:
        leases = [stack.enter_context(quartet.lock(resource, ttl=KEPT)) for resource in resources]
        wait_for(lambda: all(shared_server.held(resource) > 1.2 * KEPT * 1000 for resource in resources))
        assert not any(lease.is_lost for lease in leases)
        # One renews and one watches.
        assert _threads() <= before + 2


def _threads() -> int:
    return len([thread for thread in threading.enumerate() if thread.name.startswith("quartet-")])


def test_waiting_ends(quartet: Quartet) -> None:
    resource = name()
    with quartet.lock(resource, owner="first"):
        with pytest.raises(NotAcquired):
            quartet.lock(resource, owner="second").acquire(wait=0.05)
        with pytest.raises(NotAcquired), quartet.lock(resource, owner="second", wait=0.05):
            raise AssertionError("it is held")
        assert quartet.lock(resource, owner="second").try_acquire() is None
    lease = quartet.lock(resource, owner="second").try_acquire()
    assert lease is not None
    lease.release()
    # A second release has nothing to do.
    lease.release()


def test_a_waiter_is_granted_the_lock(shared_server: Server, quartet: Quartet) -> None:
    resource = name()
    first = quartet.lock(resource).acquire()
    tokens: list[int] = []

    def wait() -> None:
        with quartet.lock(resource) as lease:
            tokens.append(lease.fencing_token)

    waiter = threading.Thread(target=wait)
    waiter.start()
    wait_for(lambda: shared_server.command("LOCK.WAITS", "RESOURCE", resource))
    first.release()
    waiter.join()
    assert tokens[0] > first.fencing_token


def test_only_the_owner_releases(quartet: Quartet) -> None:
    resource = name()
    with quartet.lock(resource, owner="holder") as lease:
        with pytest.raises(NotHeld):
            quartet.lock(resource, owner="somebody").release()
        assert not lease.is_lost


def test_an_owner_acquires_again_only_if_it_says_so(quartet: Quartet) -> None:
    resource = name()
    with quartet.lock(resource) as outer:
        assert quartet.lock(resource).try_acquire() is None
        # It would wait for itself.
        with pytest.raises(Deadlock), quartet.lock(resource):
            raise AssertionError("it is held")
        with quartet.lock(resource, reentrant=True) as inner:
            assert inner.fencing_token == outer.fencing_token
        assert quartet.lock(resource, owner="somebody").try_acquire() is None
    lease = quartet.lock(resource, owner="somebody").try_acquire()
    assert lease is not None
    lease.release()


def test_shared_locks_and_several_resources(quartet: Quartet) -> None:
    first, second = name(), name()
    with quartet.lock(first, shared=True, owner="a"), quartet.lock(first, shared=True, owner="b"):
        assert quartet.lock(first, owner="c").try_acquire() is None
    with quartet.lock(first, second) as lease:
        assert lease.resources == (first, second)
        assert quartet.lock(second, owner="c").try_acquire() is None
    with quartet.lock(first, second, owner="c"):
        pass


def test_a_deadlock_is_an_error_of_its_own(shared_server: Server, quartet: Quartet) -> None:
    x, y = name("x"), name("y")
    failed: list[Deadlock] = []

    def other() -> None:
        with quartet.lock(y, owner="bob"):
            ready.set()
            with quartet.lock(x, owner="bob"):
                pass

    ready = threading.Event()
    with quartet.lock(x, owner="ann"):
        thread = threading.Thread(target=other)
        thread.start()
        wait_for(lambda: shared_server.command("LOCK.WAITS", "RESOURCE", x))
        with pytest.raises(Deadlock) as caught:
            quartet.lock(y, owner="ann").acquire()
        failed.append(caught.value)
    thread.join()
    assert failed[0].waits == ["ann", y, "bob", x, "ann"]


def test_threads_have_owners_of_their_own(quartet: Quartet) -> None:
    x, y = name(), name()
    with quartet.lock(x) as here:
        with quartet.lock(y) as again:
            assert here.owner == again.owner
        with ThreadPoolExecutor(1) as pool:
            there = pool.submit(quartet.lock(y).acquire).result()
        assert there.owner != here.owner
        there.release()


def test_an_owner_waits_once_at_a_time(shared_server: Server, quartet: Quartet) -> None:
    x, y = name(), name()
    with quartet.lock(x, owner="holder"), quartet.lock(y, owner="holder"):
        waiter = threading.Thread(target=lambda: quartet.lock(x, owner="both").acquire().release())
        waiter.start()
        wait_for(lambda: shared_server.command("LOCK.WAITS", "RESOURCE", x))
        with pytest.raises(OwnerWaits):
            quartet.lock(y, owner="both").acquire()
    waiter.join()


def test_a_guarded_function_holds_the_lock(shared_server: Server, quartet: Quartet) -> None:
    resource = name()

    @quartet.lock(resource).guarded
    def work(amount: int) -> int:
        assert shared_server.held(resource) > 0
        return amount * 2

    assert work(21) == 42
    assert shared_server.held(resource) == 0


def test_writes_under_the_fencing_token(shared_server: Server, quartet: Quartet) -> None:
    resource, key = name(), name("key")
    lease = quartet.lock(resource).acquire()
    lease.fenced_set(key, "done", expires=60)
    assert shared_server.redis().get(key) == "done"
    shared_server.command("LOCK.FORCE", resource)
    with pytest.raises(LockLost):
        lease.fenced_set(key, "too late")
    assert lease.lost.is_set()
    with pytest.raises(LockLost):
        lease.release()
    assert shared_server.redis().get(key) == "done"


def test_permits(quartet: Quartet) -> None:
    resource = name()
    semaphore = quartet.semaphore(resource, 3)
    with semaphore, semaphore as second:
        other = quartet.semaphore(resource, 3, owner="other")
        assert quartet.semaphore(resource, 3, permits=2, owner="other").try_acquire() is None
        third = other.try_acquire()
        assert third is not None and third.fencing_token > second.fencing_token
        assert quartet.semaphore(resource, 3, owner="more").try_acquire() is None
        third.release()
    with quartet.semaphore(resource, 3, permits=3):
        pass


def test_a_session_keeps_all_and_frees_all(shared_server: Server, quartet: Quartet) -> None:
    resources = [name() for _ in range(5)]
    with quartet.session(ttl=KEPT) as session:
        leases = [session.lock(resource).acquire() for resource in resources]
        leases.append(session.semaphore(name(), 2).acquire())
        wait_for(lambda: all(shared_server.held(resource) > 1.2 * KEPT * 1000 for resource in resources))
        leases.pop(0).release()
        assert shared_server.held(resources[0]) == 0
        assert not session.is_lost and not any(lease.is_lost for lease in leases)
    assert not any(shared_server.held(resource) for resource in resources)
    assert not any(lease.lost.is_set() for lease in leases)


def test_a_session_notices_the_loss_of_one_lease(shared_server: Server, quartet: Quartet) -> None:
    x, y = name(), name()
    with quartet.session(ttl=KEPT) as session:
        lost, kept = session.lock(x).acquire(), session.lock(y).acquire()
        shared_server.command("LOCK.FORCE", x)
        assert lost.lost.wait(60)
        with pytest.raises(LockLost):
            lost.release()
        assert not kept.is_lost and not session.is_lost
