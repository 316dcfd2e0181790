"""What both kinds of middleware answer in place of the application."""

from __future__ import annotations

import json
from typing import Literal

from .replies import Decision

Unreachable = Literal["refuse", "allow", "raise"]
"""What to do with a request while the limiter cannot be asked: answer 503, let it pass, or raise the error."""

#: The body while the limiter cannot be asked.
UNAVAILABLE = json.dumps({"title": "The rate limiter cannot be reached", "status": 503}).encode()


def body(decision: Decision) -> bytes:
    """The problem (RFC 9457) of a request that is over a limit."""
    problem = {
        "type": "/problems/quota-exceeded",
        "title": "The request is over a limit",
        "status": 429,
        "violated-policies": [decision.policy or "limit"],
    }
    return json.dumps(problem).encode()


def refused_headers(content: bytes, headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The headers of such a response."""
    return [("Content-Type", "application/problem+json"), ("Content-Length", str(len(content))), *headers]
