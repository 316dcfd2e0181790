"""The blocking client and that for asyncio have the same surface: the same classes, members and parameters."""

from __future__ import annotations

import inspect

import pytest

import quartet_client
from quartet_client import aio

#: Members that only one of both has, because the other has them under the name that its language construct wants.
PAIRS = {"__enter__": "__aenter__", "__exit__": "__aexit__"}


def surface(kind: type) -> dict[str, list[tuple[str, object, object]]]:
    """Members that are public or part of a ``with`` statement, with their parameters' names, kinds and defaults."""
    found: dict[str, list[tuple[str, object, object]]] = {}
    for name, member in inspect.getmembers(kind):
        if name.startswith("_") and name not in PAIRS and name not in PAIRS.values() and name != "__init__":
            continue
        parameters = inspect.signature(member).parameters.values() if callable(member) else []
        found[PAIRS.get(name, name)] = [(each.name, each.kind, each.default) for each in parameters]
    return found


@pytest.mark.parametrize("name", aio.__all__)
def test_both_have_the_same(name: str) -> None:
    assert surface(getattr(quartet_client, name)) == surface(getattr(aio, name))
