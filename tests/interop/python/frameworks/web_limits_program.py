"""Flask-Limiter and slowapi, whose pages refuse what is over their limits."""

from flask import Flask
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from slowapi import Limiter as SlowLimiter
from slowapi import _rate_limit_exceeded_handler
from slowapi.errors import RateLimitExceeded
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from job import URL, run, within_an_hour


def flask():
    within_an_hour()
    for strategy in ["fixed-window", "moving-window", "sliding-window-counter"]:
        app = Flask(__name__)
        limiter = Limiter(
            get_remote_address,
            app=app,
            storage_uri=URL,
            strategy=strategy,
            key_prefix=strategy,
            headers_enabled=True,
            default_limits=["5 per hour"],
        )

        @app.get("/")
        def page():
            return "a page"

        @app.get("/login")
        @limiter.limit("2 per hour")
        def login():
            return "welcome"

        @app.get("/open")
        @limiter.exempt
        def unlimited():
            return "open"

        with app.test_client() as browser:
            answers = [browser.get("/") for _ in range(7)]
            assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 2, strategy
            assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["4", "3", "2", "1", "0", "0", "0"]
            assert 0 < int(answers[-1].headers["Retry-After"]) <= 3601
            assert [browser.get("/login").status_code for _ in range(3)] == [200, 200, 429]
            assert [browser.get("/open").status_code for _ in range(10)] == [200] * 10
            other = {"REMOTE_ADDR": "192.0.2.7"}
            assert browser.get("/", environ_base=other).status_code == 200


def slowapi():
    within_an_hour()
    limiter = SlowLimiter(key_func=lambda request: request.client.host, storage_uri=URL, headers_enabled=True)

    @limiter.limit("3/hour")
    async def page(request):
        return PlainTextResponse("a page")

    app = Starlette(routes=[Route("/", page)])
    app.state.limiter = limiter
    app.add_exception_handler(RateLimitExceeded, _rate_limit_exceeded_handler)
    with TestClient(app) as browser:
        answers = [browser.get("/") for _ in range(5)]
    assert [answer.status_code for answer in answers] == [200] * 3 + [429] * 2
    assert answers[0].headers["X-RateLimit-Remaining"] == "2"
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 3601


if __name__ == "__main__":
    run([flask, slowapi])
