// ioredis with its default settings: `node ioredis.js PORT`.
//
// Each function is a step; its name is printed once it has passed.

import assert from "node:assert/strict";
import { once } from "node:events";
import { Redis, ReplyError } from "ioredis";

const KEYS = 1000;

async function connect(client) {
  assert.equal(await client.ping(), "PONG");
  assert.match(await client.info("server"), /redis_version:\d+\.\d+\.\d+/);
}

async function set_and_get(client) {
  assert.equal(await client.set("greeting", "hello"), "OK");
  assert.equal(await client.get("greeting"), "hello");
  assert.equal(await client.get("absent"), null);
  assert.equal(await client.set("greeting", "again", "NX"), null);
  const everything = Buffer.from(Array.from({ length: 25600 }, (_, index) => index % 256));
  await client.set(everything, everything);
  assert.deepEqual(await client.getBuffer(everything), everything);
  await client.mset({ one: 1, two: 2 });
  assert.deepEqual(await client.mget("one", "absent", "two"), ["1", null, "2"]);
  assert.equal(await client.incrby("one", 41), 42);
}

async function expire_and_ttl(client) {
  await client.set("session", "open");
  assert.equal(await client.ttl("session"), -1);
  assert.equal(await client.expire("session", 100), 1);
  const seconds = await client.ttl("session");
  assert.ok(seconds > 0 && seconds <= 100);
  assert.equal(await client.ttl("absent"), -2);
  await client.set("moment", "gone soon", "PX", 1);
  while (await client.exists("moment"));
}

async function remove(client) {
  await client.mset({ first: 1, second: 2 });
  assert.equal(await client.del("first", "second", "absent"), 2);
}

async function pipeline(client) {
  const batch = client.multi();
  for (let number = 0; number < KEYS; number++) batch.set(`batch:${number}`, number);
  const replies = await batch.get("batch:7").exec();
  assert.equal(replies.length, KEYS + 1);
  assert.ok(replies.slice(0, KEYS).every(([error, reply]) => error === null && reply === "OK"));
  assert.deepEqual(replies[KEYS], [null, "7"]);
  const plain = await client.pipeline().set("word", "text").incr("word").get("word").exec();
  assert.deepEqual(plain[0], [null, "OK"]);
  assert.ok(plain[1][0] instanceof ReplyError);
  assert.deepEqual(plain[2], [null, "text"]);
}

async function transaction(client) {
  const other = client.duplicate();
  await client.set("balance", 10);
  await client.watch("balance");
  await other.set("balance", 50);
  assert.equal(await client.multi().set("balance", 11).exec(), null);
  await client.watch("balance");
  assert.deepEqual(await client.multi().set("balance", 51).exec(), [[null, "OK"]]);
  assert.equal(await other.get("balance"), "51");
  await other.quit();
}

async function scan(client) {
  const pairs = Array.from({ length: KEYS }, (_, number) => [`item:${number}`, number]);
  await client.mset(new Map(pairs));
  const found = new Set();
  for await (const keys of client.scanStream({ match: "item:*", count: 50 })) keys.forEach((key) => found.add(key));
  assert.deepEqual([...found].sort(), pairs.map(([key]) => key).sort());
}

async function publish_and_subscribe(client) {
  const listener = client.duplicate();
  assert.equal(await listener.subscribe("news"), 1);
  assert.equal(await listener.psubscribe("n?w*"), 2);
  const message = once(listener, "message");
  const matched = once(listener, "pmessage");
  assert.equal(await client.publish("news", "extra"), 2);
  assert.deepEqual(await message, ["news", "extra"]);
  assert.deepEqual(await matched, ["n?w*", "news", "extra"]);
  assert.equal(await listener.unsubscribe("news"), 1);
  assert.equal(await listener.punsubscribe("n?w*"), 0);
  await listener.quit();
}

async function errors(client) {
  await client.set("word", "text");
  await assert.rejects(client.incr("word"), (error) => {
    return error instanceof ReplyError && error.message === "ERR value is not an integer or out of range";
  });
  await assert.rejects(client.call("NOSUCH", "a"), {
    message: /^ERR unknown command 'NOSUCH', with args beginning with: 'a'/,
  });
}

async function reconnect(client) {
  const identity = await client.client("ID");
  const other = client.duplicate();
  const ready = once(client, "ready");
  assert.equal(await other.client("KILL", "ID", identity), 1);
  await ready;
  assert.equal(await client.get("word"), "text");
  assert.notEqual(await client.client("ID"), identity);
  await other.quit();
}

const STEPS = [
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
];

const client = new Redis(Number(process.argv[2]));
for (const step of STEPS) {
  await step(client);
  console.log(step.name);
}
assert.equal(await client.quit(), "OK");
