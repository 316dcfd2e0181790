"""arq with a worker process, all with their defaults."""

import asyncio

from arq import create_pool
from arq.connections import RedisSettings
from arq.constants import health_check_key_suffix
from arq.jobs import Job, JobStatus

from job import PATIENCE_SECONDS, PORT, run, worker


def with_pool(step):
    """The same step, which is asynchronous, with a pool of its own."""

    def synchronous():
        async def enter():
            pool = await create_pool(RedisSettings(port=PORT))
            try:
                await asyncio.wait_for(step(pool), PATIENCE_SECONDS)
            finally:
                await pool.aclose()

        asyncio.run(enter())

    synchronous.__name__ = step.__name__
    return synchronous


async def answer(job):
    return await job.result(timeout=PATIENCE_SECONDS, poll_delay=0.01)


@with_pool
async def results(pool):
    jobs = [await pool.enqueue_job("add", number, number) for number in range(50)]
    assert [await answer(job) for job in jobs] == [2 * number for number in range(50)]
    assert await jobs[0].status() == JobStatus.complete
    assert 0 < await pool.ttl(f"arq:result:{jobs[0].job_id}") <= 3600
    assert len(await pool.all_job_results()) == 50


@with_pool
async def one_job_of_a_name(pool):
    first = await pool.enqueue_job("add", 1, 2, _job_id="named", _defer_by=0.3)
    assert await pool.enqueue_job("add", 3, 4, _job_id="named") is None
    assert await answer(first) == 3


@with_pool
async def retries(pool):
    assert await answer(await pool.enqueue_job("third_time")) == 3
    try:
        await answer(await pool.enqueue_job("never"))
    except ValueError as error:
        assert str(error) == "never works"
    else:
        raise AssertionError("it never works")


@with_pool
async def later(pool):
    delayed = await pool.enqueue_job("note", "later", _defer_by=1)
    assert await delayed.status() == JobStatus.deferred
    assert len(await pool.queued_jobs()) == 1
    await answer(await pool.enqueue_job("note", "now"))
    await answer(delayed)
    assert await pool.lrange("notes", 0, -1) == [b"now", b"later"]


@with_pool
async def aborted(pool):
    job = await pool.enqueue_job("note", "tomorrow", _defer_by=86_400)
    assert await job.abort(timeout=PATIENCE_SECONDS, poll_delay=0.01) is True
    assert await Job(job.job_id, pool).status() == JobStatus.complete
    assert await pool.zcard("arq:queue") == 0


@with_pool
async def health(pool):
    report = await pool.get(f"arq:queue{health_check_key_suffix}")
    assert b"j_complete=" in report, report


STEPS = [results, one_job_of_a_name, retries, later, aborted, health]

if __name__ == "__main__":
    # It ends by the signal that it was sent, as it tells the loop.
    with worker("-m", "arq", "arq_tasks.WorkerSettings", codes=(0, 1)):
        run(STEPS)
