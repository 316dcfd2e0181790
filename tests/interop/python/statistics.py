"""The running report of `redis-cli --stat`, ended after three lines: `statistics.py PORT KEYS`."""

import subprocess
import sys

port, keys = sys.argv[1:]
command = ["redis-cli", "-p", port, "--stat", "-i", "0.05"]
with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as report:
    lines = [line for line, _ in zip(report.stdout, range(5))]
    report.terminate()
print("".join(lines))
assert lines[1].split()[:4] == ["keys", "mem", "clients", "blocked"], lines
for line in lines[2:]:
    figures = line.split()
    assert figures[0] == keys, line
    assert figures[1][0].isdigit() and figures[1][-1] in "KMG", line
    assert 0 < int(figures[2]), line
