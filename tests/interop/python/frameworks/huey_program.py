"""huey with its queue, schedule, results and a consumer process, all with their defaults."""

import signal

from huey.exceptions import TaskException

from huey_tasks import add, alone, client, huey, note, note_ranked, third_time
from job import PATIENCE_SECONDS, run, wait_until, worker


def results():
    waiting = [add(number, number) for number in range(50)]
    assert [result.get(blocking=True, timeout=PATIENCE_SECONDS) for result in waiting] == [2 * number for number in range(50)]
    assert huey.result_count() == 0


def pipeline():
    pipe = add.s(1, 2).then(add, 3).then(add, 4)
    group = huey.enqueue(pipe)
    assert [result.get(blocking=True, timeout=PATIENCE_SECONDS) for result in group] == [3, 6, 10]


def retries():
    """huey keeps the error of a try until the next one has ended, so whoever waits for the result may get that."""
    task = third_time()

    def result():
        try:
            return huey.result(task.id)
        except TaskException as error:
            assert "not yet" in str(error), error
            return None

    assert wait_until(result) == "3"


def schedule():
    """What is due later comes later, and what was revoked never."""
    later = note.schedule(("later",), delay=1)
    revoked = note.schedule(("revoked",), delay=1)
    revoked.revoke()
    note("now")
    wait_until(lambda: client.llen("notes") == 2)
    wait_until(lambda: huey.scheduled_count() == 0)
    assert client.lrange("notes", 0, -1) == ["now", "later"]
    assert later.is_revoked() is False
    assert len(huey.scheduled()) == 0


def lock():
    with huey.lock_task("alone"):
        refused = alone()
        try:
            refused.get(blocking=True, timeout=PATIENCE_SECONDS)
        except TaskException as error:
            assert "TaskLockedException" in str(error), error
        else:
            raise AssertionError("the lock is held")
    assert alone().get(blocking=True, timeout=PATIENCE_SECONDS) == "done"


def priorities():
    """Tasks that were sent before the consumer came are done in the order of their priorities, of which the highest is first."""
    for word, priority in [("middle", 5), ("last", None), ("first", 9), ("second", 9)]:
        note_ranked(word, priority=priority)
    with worker("-m", "huey.bin.huey_consumer", "huey_tasks.ranked", stop=signal.SIGINT):
        wait_until(lambda: client.llen("ranked notes") == 4)
    assert client.lrange("ranked notes", 0, -1) == ["first", "second", "middle", "last"]


STEPS = [results, pipeline, retries, schedule, lock, priorities]

if __name__ == "__main__":
    with worker("-m", "huey.bin.huey_consumer", "huey_tasks.huey", stop=signal.SIGINT):
        run(STEPS)
