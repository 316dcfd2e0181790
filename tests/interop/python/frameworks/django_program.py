"""Django with its own cache on the server and with django-redis, each with pages that keep sessions there."""

import threading

import django
from django.conf import settings

from job import PORT, URL, run, wait_until

settings.configure(
    SECRET_KEY="a secret of this test",
    ROOT_URLCONF=__name__,
    ALLOWED_HOSTS=["testserver"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    CACHES={
        "default": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": URL},
        "core": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": f"redis://127.0.0.1:{PORT}/1"},
    },
)
django.setup()

from django.core.cache import cache, caches
from django.http import HttpResponse
from django.test import Client
from django.test.utils import override_settings
from django.urls import path
from django_redis import get_redis_connection


def count_visits(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


def log_out(request):
    request.session.flush()
    return HttpResponse("gone")


urlpatterns = [path("", count_visits), path("gone", log_out)]


def check_cache(cache):
    """What both caches promise."""
    cache.set("one", {"nested": [1, 2, 3]}, 60)
    assert cache.get("one") == {"nested": [1, 2, 3]}
    assert cache.get("absent", "a default") == "a default"
    assert cache.add("one", "again") is False and cache.add("two", 2) is True
    cache.set_many({"three": 3, "four": 4}, timeout=60)
    assert cache.get_many(["two", "three", "four", "five"]) == {"two": 2, "three": 3, "four": 4}
    assert cache.incr("two") == 3 and cache.incr("two", 10) == 13 and cache.decr("two") == 12
    try:
        cache.incr("five")
    except ValueError:
        pass
    else:
        raise AssertionError("there is nothing to increase")
    assert cache.touch("two", 30) and not cache.touch("five", 30)
    assert "two" in cache and cache.has_key("three") and "five" not in cache
    assert cache.get_or_set("five", lambda: 5, 60) == 5
    cache.delete_many(["three", "four"])
    assert cache.get_many(["three", "four"]) == {}
    assert cache.delete("five") and not cache.delete("five")
    cache.set("version", "old", version=1)
    cache.incr_version("version", version=1)
    assert cache.get("version", version=2) == "old" and cache.get("version", version=1) is None
    cache.set("gone", "soon", 1)
    wait_until(lambda: cache.get("gone") is None)
    cache.set("never", "kept", timeout=0)
    assert cache.get("never") is None


def cache_of_django():
    check_cache(caches["core"])
    caches["core"].clear()
    assert caches["core"].get("one") is None


def django_redis():
    check_cache(cache)
    assert 0 < cache.ttl("two") <= 30 and 0 < cache.pttl("two") <= 30_000
    assert cache.persist("two") and cache.ttl("two") is None
    assert cache.expire("two", timeout=100) and 0 < cache.ttl("two") <= 100
    assert cache.set("once", 1, nx=True) and not cache.set("once", 2, nx=True)
    assert not cache.set("nothing", 1, xx=True)


def patterns():
    cache.set_many({f"user:{number}": number for number in range(2_500)})
    assert len(cache.keys("user:*")) == 2_500
    assert set(cache.iter_keys("user:?")) == {f"user:{number}" for number in range(10)}
    assert cache.delete_pattern("user:*") == 2_500
    assert cache.keys("user:*") == []
    assert cache.get("once") == 1


def sets_and_hashes():
    assert cache.sadd("tags", "a", "b", "c") == 3
    assert cache.smembers("tags") == {"a", "b", "c"} and cache.scard("tags") == 3
    assert cache.sismember("tags", "a") and cache.srem("tags", "a") == 1
    cache.hset("fields", "first", 1)
    assert cache.hlen("fields") == 1 and cache.hexists("fields", "first")
    assert cache.hdel("fields", "first") == 1
    raw = get_redis_connection("default")
    assert raw.info("server")["redis_mode"] == "standalone"


def locks():
    """A lock that is handed over: nobody enters while another is inside, and everybody does at last."""
    inside = []
    most = []

    def enter():
        with cache.lock("turn", timeout=60, sleep=0.001):
            inside.append(None)
            most.append(len(inside))
            inside.pop()

    threads = [threading.Thread(target=enter) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1] * 16
    held = cache.lock("turn", timeout=60)
    assert held.acquire() and not cache.lock("turn").acquire(blocking=False)
    held.release()


def sessions():
    for alias in ["default", "core"]:
        with override_settings(SESSION_CACHE_ALIAS=alias):
            first, second = Client(), Client()
            assert [first.get("/").content for _ in range(3)] == [b"1", b"2", b"3"]
            assert second.get("/").content == b"1"
            assert first.get("/gone").content == b"gone"
            assert first.get("/").content == b"1" and second.get("/").content == b"2"


if __name__ == "__main__":
    run([cache_of_django, django_redis, patterns, sets_and_hashes, locks, sessions])
