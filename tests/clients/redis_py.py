"""What redis-py does against three servers of Niagara: basic, pubsub, caching, sentinel or cluster."""

import os
import signal
import sys
import threading
import time

import redis
from redis.cache import CacheConfig
from redis.cluster import ClusterNode, LoadBalancingStrategy, RedisCluster
from redis.connection import CacheProxyConnection
from redis.sentinel import Sentinel

HOST = "127.0.0.1"
PORTS = [int(port) for port in os.environ["NIAGARA_PORTS"].split()]
# Longer than a failover takes on any machine.
LONG = 60


def kill(port):
    with open(os.path.join(os.environ["NIAGARA_PIDS"], str(port))) as file:
        os.kill(int(file.read()), signal.SIGKILL)


def until(what, look):
    end = time.monotonic() + LONG
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"waited in vain for {what}")


def keeps(action):
    """Calls until it succeeds, as a program does whose server has gone."""

    def attempt():
        try:
            return (action(),)
        except (redis.ConnectionError, redis.TimeoutError, redis.exceptions.RedisClusterException):
            return None
        except redis.exceptions.ClusterDownError:
            return None
        except redis.ResponseError as error:
            assert str(error).split()[0] in ("NOQUORUM", "LOADING", "UNKNOWN"), error
            return None

    return until("the other servers", attempt)[0]


def basic(protocol):
    r = redis.Redis(HOST, PORTS[0], protocol=protocol, decode_responses=True)
    other = redis.Redis(HOST, PORTS[1], protocol=protocol, decode_responses=True)
    r.flushall()
    assert r.set("k", "v", ex=100) and other.get("k") == "v" and 90 < other.ttl("k") <= 100
    assert r.info()["role"] == "master" and r.info()["connected_slaves"] == 2
    assert r.role()[0] in ("master", b"master")
    assert r.wait(1, 100) == 1
    with r.pipeline(transaction=False) as pipe:
        for _ in range(1000):
            pipe.incr("n")
            pipe.get("n")
        assert pipe.execute()[-1] == "1000"
    with r.pipeline() as pipe:
        pipe.watch("n")
        n = int(pipe.get("n"))
        pipe.multi()
        pipe.set("n", n + 1).get("n")
        assert pipe.execute() == [True, "1001"]
        pipe.watch("n")
        other.incr("n")
        pipe.multi()
        pipe.set("n", 0)
        try:
            pipe.execute()
            raise AssertionError("a watched key has changed")
        except redis.WatchError:
            pass
    assert sorted(r.scan_iter("k*")) == ["k"]
    lock = lambda client: client.lock("lock", timeout=LONG, blocking_timeout=0.2)
    mine, theirs = lock(r), lock(other)
    assert mine.acquire() and not theirs.acquire()
    assert mine.extend(LONG) and mine.owned()
    mine.release()
    assert theirs.acquire()
    theirs.release()


def subscribed(client):
    return client.pubsub_numsub("news")[0][1], client.pubsub_numpat()


def pubsub(protocol):
    r = redis.Redis(HOST, PORTS[0], protocol=protocol, decode_responses=True)
    others = [redis.Redis(HOST, port, protocol=protocol, decode_responses=True) for port in PORTS]
    subscribers = [other.pubsub(ignore_subscribe_messages=True) for other in others]
    for subscriber in subscribers:
        subscriber.subscribe("news")
        subscriber.psubscribe("n?ws")
    # A subscription counts once its server has confirmed it.
    until("two confirmations from each", lambda: [subscribed(other) for other in others] == [(1, 1)] * 3)
    assert r.pubsub_channels() == ["news"]

    def publish(client, name):
        for i in range(100):
            client.publish("news", f"{name} {i}")

    publishers = [threading.Thread(target=publish, args=(other, name)) for name, other in enumerate(others)]
    for publisher in publishers:
        publisher.start()
    heard = []
    for subscriber in subscribers:
        messages = []
        while len(messages) < 600:
            # What is ignored is None.
            message = until(f"message {len(messages) + 1}", lambda: subscriber.get_message(timeout=1))
            messages.append((message["type"], message["data"]))
        heard.append(messages)
    assert heard[0] == heard[1] == heard[2], "all hear the same in the same order"
    for publisher in publishers:
        publisher.join()
    for subscriber in subscribers:
        subscriber.unsubscribe()
        subscriber.punsubscribe()
        subscriber.close()


def caching():
    # It refuses whatever calls itself older than 7.4, and so Redis 7.2, too, which has all that it needs.
    CacheProxyConnection.MIN_ALLOWED_VERSION = "7.2.0"
    caching = redis.Redis(HOST, PORTS[0], protocol=3, decode_responses=True, cache_config=CacheConfig(max_size=1000))
    others = [redis.Redis(HOST, port, decode_responses=True) for port in PORTS]
    others[0].flushall()

    def is_kept(key):
        entries = caching.get_cache().collection
        return any(key in cached.redis_keys for cached in entries)

    def shows(key, value):
        until(f"{key} to be {value}", lambda: caching.get(key) == value)

    for number, other in enumerate(others * 3):
        other.set("k", number)
        shows("k", str(number))
        assert is_kept("k")
    # Nobody asks the server for what is kept.
    others[0].config_set("slowlog-log-slower-than", 0)
    others[0].slowlog_reset()
    for _ in range(100):
        assert caching.get("k") == "8"
    assert others[0].slowlog_len() < 10
    others[0].config_set("slowlog-log-slower-than", -1)
    caching.mget("k", "other")
    others[1].eval("redis.call('set', 'other', 1)", 0)
    until("other to be set", lambda: caching.mget("k", "other") == ["8", "1"])
    others[2].pexpire("k", 300)
    shows("k", None)
    others[1].set("k", "again")
    shows("k", "again")
    others[2].flushall()
    shows("k", None)
    # Everybody writes, and in the end what is kept is what there is.
    def write(client, name):
        for i in range(300):
            client.set(f"shared:{i % 10}", f"{name}:{i}")

    writers = [threading.Thread(target=write, args=(other, name)) for name, other in enumerate(others)]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        for i in range(10):
            caching.get(f"shared:{i}")
    for writer in writers:
        writer.join()
    for i in range(10):
        shows(f"shared:{i}", others[1].get(f"shared:{i}"))


def sentinel():
    sentinels = Sentinel([(HOST, port) for port in PORTS], socket_timeout=5, min_other_sentinels=1)
    host, port = sentinels.discover_master("mymaster")
    master = sentinels.master_for("mymaster", decode_responses=True, socket_timeout=5)
    replica = sentinels.slave_for("mymaster", decode_responses=True, socket_timeout=5)
    master.set("kept", "before")
    assert replica.get("kept") == "before"
    assert len(sentinels.discover_slaves("mymaster")) == 2
    lock = master.lock("sentinel's lock", timeout=2 * LONG)
    assert lock.acquire()
    kill(port)
    keeps(lambda: master.set("kept", "after"))
    assert keeps(lambda: master.pipeline().get("kept").incr("piped").execute())[0] == "after"
    assert not keeps(lambda: master.lock("sentinel's lock", timeout=LONG, blocking=False).acquire())
    keeps(lock.release)
    assert keeps(lambda: replica.get("kept")) == "after"
    now = keeps(lambda: sentinels.discover_master("mymaster"))
    assert now != (host, port) and now[1] in PORTS
    until("the dead server to be left out", lambda: len(sentinels.discover_slaves("mymaster")) == 1)


def cluster():
    nodes = [ClusterNode(HOST, port) for port in PORTS]
    everywhere = LoadBalancingStrategy.ROUND_ROBIN
    c = RedisCluster(
        startup_nodes=nodes, decode_responses=True, load_balancing_strategy=everywhere, socket_timeout=5
    )
    for i in range(100):
        c.set(f"key:{i}", i)
    # Reads may go to what it takes for replicas, and are strong nevertheless.
    assert [c.get(f"key:{i}") for i in range(100)] == [str(i) for i in range(100)]
    with c.pipeline() as pipe:
        for i in range(100):
            pipe.get(f"key:{i}")
        assert pipe.execute() == [str(i) for i in range(100)]
    assert len(c.get_primaries()) == 1 and len(c.get_replicas()) == 2
    kill(c.get_primaries()[0].port)
    for i in range(100):
        keeps(lambda: c.set(f"key:{i}", i + 1))
    assert [keeps(lambda: c.get(f"key:{i}")) for i in range(100)] == [str(i + 1) for i in range(100)]


part = sys.argv[1]
if part in ("basic", "pubsub"):
    for protocol in (2, 3):
        globals()[part](protocol)
else:
    globals()[part]()
