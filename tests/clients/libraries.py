"""What Python's libraries on top of redis-py do with a server of Niagara: django, django_redis, flask_caching, redlock."""

import os
import sys
import time

import redis

HOST = "127.0.0.1"
PORTS = [int(port) for port in os.environ["NIAGARA_PORTS"].split()]


def url(number=0, database=0):
    return f"redis://{HOST}:{PORTS[number]}/{database}"


def emptied():
    client = redis.Redis(HOST, PORTS[0], decode_responses=True)
    client.flushall()
    return client


def expires(look):
    """Whether something that lasts for a second is gone soon after."""
    assert look() is not None
    end = time.monotonic() + 30
    while look() is not None:
        assert time.monotonic() < end, "it does not expire"
        time.sleep(0.1)


def configure(backend):
    import django
    from django.conf import settings

    # The second server, under another name: what one has stored, the other shows.
    settings.configure(
        SECRET_KEY="secret",
        CACHES={
            "default": {"BACKEND": backend, "LOCATION": url(0, 1)},
            "other": {"BACKEND": backend, "LOCATION": url(1, 1)},
        },
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
    )
    django.setup()


def use_caches():
    from django.core.cache import caches

    one, other = caches["default"], caches["other"]
    one.set("k", {"a": [1, "two"]}, 100)
    assert other.get("k") == {"a": [1, "two"]}
    assert not one.add("k", 2) and one.add("fresh", 2)
    one.set("n", 1)
    assert other.incr("n", 5) == 6 and one.decr("n") == 5
    one.set_many({f"m{i}": i for i in range(100)}, 100)
    assert other.get_many([f"m{i}" for i in range(100)]) == {f"m{i}": i for i in range(100)}
    other.delete_many([f"m{i}" for i in range(50)])
    assert len(one.get_many([f"m{i}" for i in range(100)])) == 50
    assert one.touch("k", 200) and not one.touch("missing", 200)
    assert one.get_or_set("computed", lambda: 42) == 42
    one.set("brief", "x", 1)
    expires(lambda: other.get("brief"))
    assert one.delete("k") and other.get("k") is None
    one.clear()
    assert other.get("n") is None


def use_sessions():
    from django.contrib.sessions.backends.cache import SessionStore

    session = SessionStore()
    session["user"] = 7
    session.create()
    assert SessionStore(session.session_key)["user"] == 7
    old = session.session_key
    session.cycle_key()
    assert not session.exists(old) and SessionStore(session.session_key)["user"] == 7
    session.flush()
    assert not session.exists(old)


def django():
    emptied()
    configure("django.core.cache.backends.redis.RedisCache")
    use_caches()
    use_sessions()


def django_redis():
    emptied()
    configure("django_redis.cache.RedisCache")
    use_caches()
    use_sessions()
    from django.core.cache import cache

    cache.set("user:1", 1, 100)
    cache.set("user:2", 2, None)
    assert sorted(cache.iter_keys("user:*")) == ["user:1", "user:2"]
    assert 90 < cache.ttl("user:1") <= 100 and cache.ttl("user:2") is None
    assert cache.persist("user:1") and cache.ttl("user:1") is None
    with cache.lock("lock", timeout=10):
        assert not cache.lock("lock", timeout=10).acquire(blocking=False)
    assert cache.delete_pattern("user:*") == 2


def flask_caching():
    from flask import Flask
    from flask_caching import Cache

    emptied()
    app = Flask("trial")
    cache = Cache(app, config={"CACHE_TYPE": "RedisCache", "CACHE_REDIS_URL": url(), "CACHE_DEFAULT_TIMEOUT": 100})
    calls = []

    @cache.memoize(100)
    def square(n):
        calls.append(n)
        return n * n

    with app.app_context():
        assert [square(3), square(3), square(4)] == [9, 9, 16] and calls == [3, 4]
        cache.delete_memoized(square, 3)
        assert square(3) == 9 and calls == [3, 4, 3]
        assert all(cache.set_many({"a": 1, "b": 2})) and cache.get_many("a", "b", "c") == [1, 2, None]
        cache.set("brief", "x", timeout=1)
        expires(lambda: cache.get("brief"))
        assert cache.clear() and cache.get("a") is None


def redlock():
    from redlock import Redlock

    emptied()
    # All servers have the same keys, so to Redlock they are one.
    one, other = (Redlock([{"host": HOST, "port": PORTS[number], "db": 0}], retry_count=1) for number in (0, 1))
    lock = one.lock("resource", 10_000)
    assert lock and not other.lock("resource", 10_000)
    one.unlock(lock)
    lock = other.lock("resource", 1000)
    assert lock
    time.sleep(1.5)
    again = one.lock("resource", 10_000)
    assert again, "a lock ends by itself"
    other.unlock(lock)
    assert not other.lock("resource", 10_000), "only its owner ends a lock"
    one.unlock(again)


globals()[sys.argv[1]]()
