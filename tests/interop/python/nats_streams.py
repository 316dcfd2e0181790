"""The streams of nats-py: `nats_streams.py HOST:PORT [JOB...]`.

Every job is a function of `stream_jobs`, makes what it needs and leaves nothing behind.  Its stream has a name of its own: a
stream of nats-server 2.15.1 now and then has the state of one that was deleted, if it has the name of that.  The job's name
is printed once it has passed; after one that fails stands what went wrong on standard error, and the next goes on.  Before the last job the program asks
for a restart of the server, which whoever started it does once that line is there.
"""

import asyncio
import sys

from stream_jobs import consumers, definitions, jobs, key_value, objects, publishing, restart

PARTS = [definitions, publishing, consumers, key_value, objects, restart]

asyncio.run(jobs.run(sys.argv[1], [job for part in PARTS for job in part.JOBS], sys.argv[2:]))
