"""rq with a worker process that has a scheduler, all with their defaults."""

from datetime import timedelta

import redis
from rq import Queue, Retry
from rq.command import send_stop_job_command
from rq.job import Job, JobStatus

import rq_tasks
from job import PORT, run, wait_until, worker

connection = redis.Redis(port=PORT)
queue = Queue(connection=connection)


def finished(job):
    """The result of the job, which rq writes after the job's status."""
    wait_until(lambda: job.get_status(refresh=True) == JobStatus.FINISHED)
    return wait_until(lambda: [result for result in [Job.fetch(job.id, connection=connection).result] if result is not None])[0]


def results():
    jobs = queue.enqueue_many([Queue.prepare_data(rq_tasks.add, (number, number)) for number in range(5)])
    assert [finished(job) for job in jobs] == [0, 2, 4, 6, 8]
    wait_until(lambda: queue.finished_job_registry.count == 5)
    assert sorted(queue.finished_job_registry.get_job_ids()) == sorted(job.id for job in jobs)
    assert 0 < connection.ttl(jobs[0].key) <= 500


def dependencies():
    first = queue.enqueue(rq_tasks.note, "first")
    second = queue.enqueue(rq_tasks.note, "second", depends_on=first)
    queue.enqueue(rq_tasks.note, "third", depends_on=[first, second])
    wait_until(lambda: connection.llen("notes") == 3)
    assert connection.lrange("notes", 0, -1) == [b"first", b"second", b"third"]
    connection.delete("notes")


def retries():
    assert finished(queue.enqueue(rq_tasks.third_time, retry=Retry(max=3))) == 3


def failures():
    job = queue.enqueue(rq_tasks.never)
    wait_until(lambda: queue.failed_job_registry.count == 1)
    assert queue.failed_job_registry.get_job_ids() == [job.id]
    assert "never works" in Job.fetch(job.id, connection=connection).exc_info
    queue.failed_job_registry.requeue(job.id)
    wait_until(lambda: job.get_status(refresh=True) == JobStatus.FAILED and queue.failed_job_registry.count == 1)
    queue.failed_job_registry.remove(job.id, delete_job=True)
    assert queue.failed_job_registry.count == 0 and not Job.exists(job.id, connection=connection)


def later():
    later = queue.enqueue_in(timedelta(seconds=1), rq_tasks.note, "later")
    assert queue.scheduled_job_registry.get_job_ids() == [later.id]
    queue.enqueue(rq_tasks.note, "now")
    wait_until(lambda: connection.llen("notes") == 2)
    assert connection.lrange("notes", 0, -1) == [b"now", b"later"]
    assert queue.scheduled_job_registry.count == 0


def stopped_from_outside():
    """The worker hears of it over PUBLISH, and kills the process of the job."""
    job = queue.enqueue(rq_tasks.endless)
    wait_until(lambda: connection.info("clients")["blocked_clients"] >= 1 and job.get_status() == JobStatus.STARTED)
    send_stop_job_command(connection, job.id)
    wait_until(lambda: job.get_status(refresh=True) == JobStatus.STOPPED)
    wait_until(lambda: queue.failed_job_registry.get_job_ids() == [job.id])


STEPS = [results, dependencies, retries, failures, later, stopped_from_outside]

if __name__ == "__main__":
    with worker("-m", "rq.cli", "worker", "--with-scheduler", "--url", f"redis://127.0.0.1:{PORT}"):
        run(STEPS)
