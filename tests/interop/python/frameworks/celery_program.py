"""Celery with its broker, its results and a worker process, all with their defaults."""

import signal

import kombu
import redis
from celery import chain, chord, group
from celery.exceptions import TaskRevokedError

from celery_tasks import add, app, never, note, third_time, total
from job import PATIENCE_SECONDS, PORT, URL, run, wait_until, worker

client = redis.Redis(port=PORT, decode_responses=True)


def answer(result):
    return result.get(timeout=PATIENCE_SECONDS, interval=0.01)


def send_with_priorities():
    for word, priority in [("last", 9), ("first", 0), ("middle", 6), ("second", 0)]:
        note.apply_async((word,), priority=priority)
    assert client.llen("celery") == 2


def priorities():
    """What was sent before the worker came is taken in order of priority, of which nought comes first."""
    wait_until(lambda: client.llen("notes") == 4)
    assert client.lrange("notes", 0, -1) == ["first", "second", "middle", "last"]
    client.delete("notes")


def results():
    assert answer(add.delay(20, 22)) == 42
    assert answer(group(add.s(number, number) for number in range(20))()) == [2 * number for number in range(20)]
    ignored = add.apply_async((1, 1), ignore_result=True)
    answer(add.delay(1, 1))
    assert client.exists(f"celery-task-meta-{ignored.id}") == 0
    kept = add.delay(1, 2)
    assert answer(kept) == 3
    assert 0 < client.ttl(f"celery-task-meta-{kept.id}") <= 86_400
    kept.forget()
    assert client.exists(f"celery-task-meta-{kept.id}") == 0


def chains_and_chords():
    assert answer(chain(add.s(1, 2), add.s(3), add.s(4))()) == 10
    assert answer(chord(add.s(number, 1) for number in range(10))(total.s())) == 55
    nested = chain(group(add.s(1, 1), add.s(2, 2)), total.s(), add.s(100))
    assert answer(nested()) == 106


def retries():
    assert answer(third_time.delay()) == 2
    failed = never.delay()
    try:
        answer(failed)
    except ValueError as error:
        assert str(error) == "never works"
    else:
        raise AssertionError("it never works")
    assert failed.state == "FAILURE"
    assert client.lrange("notes", 0, -1) == ["never", "never"]
    client.delete("notes")


def later():
    """A task with a countdown comes after one without, and a revoked one never."""
    revoked = note.apply_async(("revoked",), countdown=1)
    app.control.revoke(revoked.id)
    delayed = note.apply_async(("later",), countdown=1)
    answer(note.delay("now"))
    answer(delayed)
    try:
        answer(revoked)
    except TaskRevokedError:
        pass
    else:
        raise AssertionError("it was revoked")
    assert client.lrange("notes", 0, -1) == ["now", "later"]
    client.delete("notes")


def remote_control():
    [[(name, reply)]] = [list(replies.items()) for replies in app.control.ping(timeout=PATIENCE_SECONDS, limit=1)]
    assert reply == {"ok": "pong"}
    inspect = app.control.inspect([name], timeout=PATIENCE_SECONDS, limit=1)
    assert "celery_tasks.add" in inspect.registered()[name]
    assert [queue["name"] for queue in inspect.active_queues()[name]] == ["celery"]


def events():
    """The worker tells of each task over PUBLISH."""
    seen = []

    def heard(event):
        if event["type"] == "worker-heartbeat" and not sent:
            # It answers the request for a sign of life, so it is listened to.
            sent.append(add.delay(1, 1))
        elif sent and event.get("uuid") == sent[0].id:
            seen.append(event["type"])
            receiver.should_stop = len(seen) == 3

    sent = []
    with app.connection() as connection:
        receiver = app.events.Receiver(connection, handlers={"*": heard})
        receiver.capture(limit=None, timeout=PATIENCE_SECONDS, wakeup=True)
    assert seen == ["task-received", "task-started", "task-succeeded"]


def prefetched_tasks_go_back():
    """A worker that is asked to end gives back what it had taken and not begun."""
    note.apply_async(("tomorrow",), countdown=86_400)
    wait_until(lambda: client.hlen("unacked") == 1 and client.zcard("unacked_index") == 1)
    running.send_signal(signal.SIGTERM)
    running.wait(PATIENCE_SECONDS)
    assert client.llen("celery") == 1
    assert client.exists("unacked", "unacked_index") == 0


def lost_message():
    """What a consumer that died had not acknowledged is given to another after the visibility timeout."""
    with kombu.Connection(URL) as connection:
        queue = connection.SimpleQueue("lost")
        queue.put({"number": 7})
        taken = kombu.Connection(URL)
        message = taken.SimpleQueue("lost").get(timeout=PATIENCE_SECONDS)
        assert message.payload == {"number": 7}
        assert client.llen("lost") == 0
        # It is gone without a word.
        taken.default_channel.client.connection_pool.disconnect()
        with kombu.Connection(URL, transport_options={"visibility_timeout": 0}) as other:
            other.default_channel.qos.restore_visible(interval=1)
            again = other.SimpleQueue("lost").get(timeout=PATIENCE_SECONDS)
            assert again.payload == {"number": 7}
            again.ack()
        assert client.hlen("unacked") == 0


STEPS = [
    priorities,
    results,
    chains_and_chords,
    retries,
    later,
    remote_control,
    events,
    prefetched_tasks_go_back,
    lost_message,
]

if __name__ == "__main__":
    send_with_priorities()
    with worker("-m", "celery", "-A", "celery_tasks", "worker", "-E", "-c", "1") as running:
        run(STEPS)
