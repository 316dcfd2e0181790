"""The programs of the README run as they stand, against a server of their own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from servers import Server

README = Path(__file__).parent.parent / "README.md"

#: The address that the README names.
ADDRESS = "redis://localhost:6379"


def test_the_programs_run() -> None:
    programs = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(programs) >= 5
    for program in programs:
        with Server() as server:
            assert ADDRESS in program
            ended = subprocess.run(
                [sys.executable, "-c", program.replace(ADDRESS, server.url)], capture_output=True, text=True, timeout=60
            )
            assert ended.returncode == 0, f"{program}\n{ended.stdout}{ended.stderr}"
