"""nats-py with its default settings: `nats_client.py HOST:PORT`.

Each function is a step; its name is printed once it has passed.  Before the last one the program asks for a restart of the
server, which whoever started it does once that line is there.
"""

import asyncio
import sys

import nats
from nats.errors import NoRespondersError
from nats.micro import add_service

MESSAGES = 1000
REQUESTS = 50


async def settle(client):
    """Waits until the server has seen all that was sent before and the client what came of it.

    The library's PING overtakes what is published and not written yet, so that goes with the first and is seen with the
    second.
    """
    await client.flush()
    await client.flush()


async def connect(client, _):
    assert client.is_connected
    assert client.max_payload == 1 << 20
    assert client.connected_server_version.major == 2
    assert await client.rtt() > 0


async def publish_and_subscribe(client, other):
    news = await client.subscribe("news")
    await settle(client)
    everything = bytes(range(256)) * 100
    for payload in [b"hello", b"", b"\r\n", everything]:
        await other.publish("news", payload)
    received = [(await news.next_msg()).data for _ in range(4)]
    assert received == [b"hello", b"", b"\r\n", everything]
    await client.publish("news", b"mine", reply="answers")
    message = await news.next_msg()
    assert (message.subject, message.data, message.reply) == ("news", b"mine", "answers")
    await news.unsubscribe(limit=6)
    await client.publish("news", b"last")
    await client.publish("news", b"lost")
    await settle(client)
    assert (await news.next_msg()).data == b"last"
    assert news.pending_msgs == 0


async def wildcards(client, other):
    subjects = ["sports", "sports.ball", "sports.ball.foot", "sportsmen.ball"]
    patterns = ["sports", "sports.*", "sports.>", "*.ball", ">", "*.*.*"]
    subscriptions = [await client.subscribe(pattern) for pattern in patterns]
    await settle(client)
    for subject in subjects:
        await other.publish(subject, subject.encode())
    await settle(other)
    await settle(client)
    received = []
    for subscription in subscriptions:
        messages = [await subscription.next_msg() for _ in range(subscription.pending_msgs)]
        assert all(message.subject == message.data.decode() for message in messages)
        received.append([message.subject for message in messages])
        await subscription.unsubscribe()
    assert received == [
        ["sports"],
        ["sports.ball"],
        ["sports.ball", "sports.ball.foot"],
        ["sports.ball", "sportsmen.ball"],
        subjects,
        ["sports.ball.foot"],
    ], received


async def queue_groups(client, other):
    members = [await one.subscribe("jobs", queue="workers") for one in [client, client, other]]
    outsider = await other.subscribe("jobs")
    await settle(client)
    await settle(other)
    for number in range(MESSAGES):
        await client.publish("jobs", b"%d" % number)
    await settle(client)
    await settle(other)
    shares = [[(await member.next_msg()).data for _ in range(member.pending_msgs)] for member in members]
    assert sorted(sum(shares, []), key=int) == [b"%d" % number for number in range(MESSAGES)]
    assert all(share and share == sorted(share, key=int) for share in shares), [len(share) for share in shares]
    assert outsider.pending_msgs == MESSAGES
    for subscription in [*members, outsider]:
        await subscription.unsubscribe()


async def request_and_reply(client, other):
    async def answer(message):
        await message.respond(message.data + b"!")

    service = await other.subscribe("shout", cb=answer)
    await settle(other)
    questions = [b"question %d" % number for number in range(REQUESTS)]
    answers = await asyncio.gather(*(client.request("shout", question) for question in questions))
    assert [message.data for message in answers] == [question + b"!" for question in questions]
    message = await client.request("shout", b"old style", old_style=True)
    assert message.data == b"old style!"
    await service.unsubscribe()
    await settle(other)


async def no_responders(client, _):
    for old_style in [False, True]:
        try:
            await client.request("nobody", b"?", timeout=60, old_style=old_style)
            raise AssertionError("nobody answers")
        except NoRespondersError:
            pass


async def headers(client, other):
    news = await client.subscribe("news.headers")
    await settle(client)
    given = {"Kind": "art", "kind": "other", "A-Long-Name": "a value, with: signs"}
    await other.publish("news.headers", b"payload", headers=given)
    message = await news.next_msg()
    assert (message.data, message.headers) == (b"payload", given), message
    await other.publish("news.headers", b"", headers={"Only": "headers"})
    message = await news.next_msg()
    assert (message.data, message.headers) == (b"", {"Only": "headers"}), message
    await news.unsubscribe()


async def burst(client, other):
    numbers = await client.subscribe("numbers")
    await settle(client)
    for number in range(MESSAGES):
        await other.publish("numbers", b"%d" % number)
    received = [(await numbers.next_msg()).data for _ in range(MESSAGES)]
    assert received == [b"%d" % number for number in range(MESSAGES)]
    await numbers.unsubscribe()


async def drain(client, other):
    third = await nats.connect(f"nats://{sys.argv[1]}")
    handled = []

    async def handle(message):
        handled.append(message.data)
        await message.respond(b"seen")

    await third.subscribe("last.words", cb=handle)
    await settle(third)
    answers = await client.subscribe("seen")
    await settle(client)
    for number in range(100):
        await other.publish("last.words", b"%d" % number, reply="seen")
    await settle(other)
    await third.drain()
    assert third.is_closed
    assert handled == [b"%d" % number for number in range(100)]
    for _ in range(100):
        assert (await answers.next_msg(timeout=60)).data == b"seen"
    await answers.unsubscribe()


async def service(client, other):
    async def answer(request):
        await request.respond(request.data[::-1])

    running = await add_service(other, name="mirror", version="1.2.3", description="turns words")
    await running.add_endpoint(name="turn", handler=answer)
    await settle(other)
    assert (await client.request("turn", b"abc")).data == b"cba"
    for verb, word in [("PING", "ping"), ("INFO", "info"), ("STATS", "stats")]:
        for subject in [f"$SRV.{verb}", f"$SRV.{verb}.mirror", f"$SRV.{verb}.mirror.{running.id}"]:
            said = (await client.request(subject, b"")).data.decode()
            assert f'"io.nats.micro.v1.{word}_response"' in said and '"mirror"' in said, said
    await running.stop()
    await settle(other)
    try:
        await client.request("$SRV.PING.mirror", b"", timeout=60)
        raise AssertionError("the service has stopped")
    except NoRespondersError:
        pass


async def reconnect(client, other):
    news = await client.subscribe("news.again")
    await settle(client)
    print("restart", flush=True)
    for one in [client, other]:
        while one.stats["reconnects"] == 0 or not one.is_connected:
            await asyncio.sleep(0.01)
    await settle(client)
    await other.publish("news.again", b"hello again")
    assert (await news.next_msg(timeout=60)).data == b"hello again"


STEPS = [
    connect,
    publish_and_subscribe,
    wildcards,
    queue_groups,
    request_and_reply,
    no_responders,
    headers,
    burst,
    drain,
    service,
    reconnect,
]


async def main(address):
    # The library says on standard error when a connection is lost, which is what it is to do.
    client, other = [await nats.connect(f"nats://{address}") for _ in range(2)]
    for step in STEPS:
        await step(client, other)
        print(step.__name__, flush=True)
    await client.close()
    await other.close()


asyncio.run(main(sys.argv[1]))
