"""Reads dashboards with the types of Grafana's schema and writes them again: what the schema does not know is lost."""

import json
import pathlib
import sys

from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard


def lost(ours, theirs, place):
    """The places of what is in `ours` and not in `theirs`."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            yield from lost(value, theirs.get(key), f"{place}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for number, pair in enumerate(zip(ours, theirs)):
            yield from lost(*pair, f"{place}[{number}]")
    elif ours != theirs:
        yield place


plugins.register_default_plugins()
files = sorted(pathlib.Path(sys.argv[1]).glob("*.json"))
for file in files:
    ours = json.loads(file.read_text())
    theirs = json.loads(json.dumps(Dashboard.from_json(ours), cls=JSONEncoder))
    for place in lost(ours, theirs, file.name):
        sys.exit(f"Grafana's schema does not know {place}")
print(f"{len(files)} dashboards")
