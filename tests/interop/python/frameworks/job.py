"""What the programs of this folder share: where the server is, steps, conditions to wait for, and worker processes.

A program prints the name of each step once it has passed, and says nothing else on its standard output.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time

PORT = int(os.environ["INTEROP_PORT"])
URL = f"redis://127.0.0.1:{PORT}/0"

# More than any condition takes on a busy machine.
PATIENCE_SECONDS = 120
LOOK_SECONDS = 0.01


def run(steps):
    """Runs the steps in order."""
    for step in steps:
        step()
        print(step.__name__, flush=True)


def wait_until(condition):
    """Waits until `condition` returns something, which is passed on."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(LOOK_SECONDS)
    raise AssertionError("the condition did not hold")


def within_an_hour():
    """Waits for the next hour if this one is about to end, so that no window of an hour ends during a step."""
    wait_until(lambda: time.time() % 3600 < 3590)


@contextlib.contextmanager
def worker(*arguments, stop=signal.SIGTERM, codes=(0,)):
    """A worker process: `python ARGUMENTS..` in this folder, asked to stop at the end, which it does with such a code."""
    with tempfile.TemporaryFile("w+") as printed:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=os.path.dirname(os.path.abspath(__file__)),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process
            if process.poll() is None:
                process.send_signal(stop)
            code = process.wait(PATIENCE_SECONDS)
            assert code in codes, f"{arguments} ended with {code}"
        except BaseException:
            printed.seek(0)
            print(printed.read(), file=sys.stderr)
            raise
        finally:
            # One that has ended cannot be killed, which is as good.
            process.kill()
            process.wait()
