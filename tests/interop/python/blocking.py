"""redis-py's blocking client with its default settings: `blocking.py PORT PROTOCOL`.

Each function is a step; its name is printed once it has passed.
"""

import sys

import redis

KEYS = 1000


def connect(client):
    assert client.ping() is True
    assert client.info("server")["redis_version"].count(".") == 2


def set_and_get(client):
    assert client.set("greeting", "hello") is True
    assert client.get("greeting") == b"hello"
    assert client.get("absent") is None
    assert client.set("greeting", "again", nx=True) is None
    everything = bytes(range(256)) * 100
    assert client.set(everything, everything) is True
    assert client.get(everything) == everything
    assert client.mset({"one": 1, "two": 2}) is True
    assert client.mget("one", "absent", "two") == [b"1", None, b"2"]
    assert client.incrby("one", 41) == 42


def expire_and_ttl(client):
    client.set("session", "open")
    assert client.ttl("session") == -1
    assert client.expire("session", 100) is True
    assert 0 < client.ttl("session") <= 100
    assert 99_000 < client.pttl("session") <= 100_000
    assert client.expire("absent", 100) is False
    assert client.ttl("absent") == -2
    client.set("moment", "gone soon", px=1)
    while client.exists("moment"):
        pass
    assert client.get("moment") is None


def remove(client):
    client.mset({"first": 1, "second": 2})
    assert client.delete("first", "second", "absent") == 2
    assert client.exists("first", "second") == 0


def pipeline(client):
    with client.pipeline() as batch:
        for number in range(KEYS):
            batch.set(f"batch:{number}", number)
        batch.get("batch:7")
        replies = batch.execute()
    assert replies == [True] * KEYS + [b"7"]
    with client.pipeline() as batch:
        batch.set("word", "text").incr("word").set("word", "after")
        replies = batch.execute(raise_on_error=False)
    assert [type(reply).__name__ for reply in replies] == ["bool", "ResponseError", "bool"]
    assert client.get("word") == b"after"
    with client.pipeline(transaction=False) as batch:
        assert batch.get("batch:1").get("batch:2").execute() == [b"1", b"2"]


def transaction(client):
    client.set("balance", 10)
    with client.pipeline() as attempt:
        attempt.watch("balance")
        balance = int(attempt.get("balance"))
        client.set("balance", 50)
        attempt.multi()
        attempt.set("balance", balance + 1)
        try:
            attempt.execute()
            raise AssertionError("the watched key has changed")
        except redis.WatchError:
            pass

    def add(attempt):
        balance = int(attempt.get("balance"))
        attempt.multi()
        attempt.set("balance", balance + 1)

    assert client.transaction(add, "balance") == [True]
    assert client.get("balance") == b"51"


def scan(client):
    client.mset({f"item:{number}": number for number in range(KEYS)})
    expected = {f"item:{number}".encode() for number in range(KEYS)}
    assert set(client.scan_iter(match="item:*", count=50)) == expected
    assert expected <= set(client.scan_iter())
    assert set(client.scan_iter(match="item:??")) == {key for key in expected if len(key) == 7}


def publish_and_subscribe(client):
    with client.pubsub() as listener:
        listener.subscribe("news")
        listener.psubscribe("n?w*")
        heard = listener.listen()
        # The library does not wait for the confirmations of its own accord.
        confirmations = [next(heard), next(heard)]
        assert [message["type"] for message in confirmations] == ["subscribe", "psubscribe"], confirmations
        assert client.publish("news", "extra") == 2
        messages = [next(heard), next(heard)]
        assert {message["type"] for message in messages} == {"message", "pmessage"}, messages
        assert all(message["channel"] == b"news" for message in messages)
        assert all(message["data"] == b"extra" for message in messages)
        assert listener.ping() in (None, True)
        listener.unsubscribe()
        listener.punsubscribe()
    count = client.publish("nobody", "listens")
    assert count == 0, count


def errors(client):
    def raised(*command):
        try:
            client.execute_command(*command)
        except redis.ResponseError as error:
            return str(error)
        raise AssertionError(f"{command} has to fail")

    client.set("word", "text")
    assert raised("INCR", "word") == "value is not an integer or out of range"
    assert raised("GET") == "wrong number of arguments for 'get' command"
    assert raised("SET", "word", "text", "EX", "0") == "invalid expire time in 'set' command"
    assert raised("NOSUCH", "a").startswith("unknown command 'NOSUCH', with args beginning with: 'a'")
    assert client.ping() is True


def reconnect(client):
    with redis.Redis(port=client.get_connection_kwargs()["port"]) as other:
        identity = client.client_id()
        assert other.client_kill_filter(_id=identity) == 1
        assert client.get("word") == b"text"
        assert client.client_id() != identity


STEPS = [
    connect,
    set_and_get,
    expire_and_ttl,
    remove,
    pipeline,
    transaction,
    scan,
    publish_and_subscribe,
    errors,
    reconnect,
]


def main(port, protocol):
    with redis.Redis(port=port, protocol=protocol) as client:
        for step in STEPS:
            step(client)
            print(step.__name__)


main(int(sys.argv[1]), int(sys.argv[2]))
