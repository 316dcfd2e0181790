// @upstash/redis with its default settings: `node upstash.js URL TOKEN`, once with its build for Node and once with the
// one for edge functions and browsers.
//
// Each function is a step; its name is printed once it has passed.

import assert from "node:assert/strict";
import { Redis as NodeRedis, errors } from "@upstash/redis";
import { Redis as EdgeRedis } from "@upstash/redis/cloudflare";

const KEYS = 500;
const [url, token] = process.argv.slice(2);
const settings = { url, token, retry: false };

async function connect(client) {
  assert.equal(await client.flushall(), "OK");
  assert.equal(await client.ping(), "PONG");
  assert.equal(await client.echo("h\u00e9llo"), "h\u00e9llo");
  assert.equal(await client.dbsize(), 0);
}

async function set_and_get(client) {
  assert.equal(await client.set("greeting", "hello"), "OK");
  assert.equal(await client.get("greeting"), "hello");
  assert.equal(await client.get("absent"), null);
  assert.equal(await client.set("greeting", "again", { nx: true }), null);
  assert.equal(await client.set("word", "OK"), "OK");
  assert.equal(await client.get("word"), "OK");
  await client.set("object", { name: "Ada", tags: ["a", "b"], count: 7 });
  assert.deepEqual(await client.get("object"), { name: "Ada", tags: ["a", "b"], count: 7 });
  await client.mset({ one: 1, two: "zw\u00f6i", three: true });
  assert.deepEqual(await client.mget("one", "absent", "two", "three"), [1, null, "zw\u00f6i", true]);
  assert.equal(await client.incrby("one", 41), 42);
  assert.equal(await client.incrbyfloat("one", 0.5), 42.5);
  assert.equal(await client.append("greeting", ", world"), 12);
  assert.equal(await client.getrange("greeting", 7, -1), "world");
  assert.equal(await client.type("greeting"), "string");
}

async function expire_and_ttl(client) {
  await client.set("session", "open", { ex: 100 });
  assert.ok((await client.ttl("session")) > 90);
  assert.equal(await client.persist("session"), 1);
  assert.equal(await client.ttl("session"), -1);
  assert.equal(await client.expire("session", 100), 1);
  assert.equal(await client.ttl("absent"), -2);
  await client.set("moment", "gone soon", { px: 1 });
  while (await client.exists("moment"));
}

async function remove(client) {
  await client.mset({ first: 1, second: 2 });
  assert.equal(await client.del("first", "second", "absent"), 2);
  assert.equal(await client.getdel("greeting"), "hello, world");
}

async function pipeline(client) {
  const batch = client.pipeline();
  for (let number = 0; number < KEYS; number++) batch.set(`batch:${number}`, number);
  const replies = await batch.get("batch:7").exec();
  assert.deepEqual(replies, [...Array(KEYS).fill("OK"), 7]);
  const mixed = await client.pipeline().set("text", "x").incr("text").get("text").exec({ keepErrors: true });
  assert.equal(mixed[0].result, "OK");
  assert.equal(mixed[1].error, "ERR value is not an integer or out of range");
  assert.equal(mixed[2].result, "x");
}

async function automatic_pipelining(client) {
  const together = await Promise.all([client.get("batch:1"), client.incr("batch:2"), client.get("batch:3")]);
  assert.deepEqual(together, [1, 3, 3]);
}

async function transaction(client) {
  assert.deepEqual(await client.multi().set("balance", 10).incrby("balance", 5).get("balance").exec(), ["OK", 15, 15]);
  const refused = client.multi().set("balance", 1).geoadd("balance", { longitude: 1, latitude: 1, member: "x" }).exec();
  await assert.rejects(refused, { name: "UpstashError" });
  assert.equal(await client.get("balance"), 15);
}

async function scan(client) {
  const found = new Set();
  let cursor = "0";
  do {
    const [next, keys] = await client.scan(cursor, { match: "batch:*", count: 50 });
    keys.forEach((key) => found.add(key));
    cursor = next;
  } while (cursor !== "0");
  assert.equal(found.size, KEYS);
  assert.equal((await client.keys("batch:1?")).length, 10);
}

async function hashes(client) {
  assert.equal(await client.hset("user", { name: "Ada", age: 36, tags: ["a"] }), 3);
  assert.deepEqual(await client.hgetall("user"), { name: "Ada", age: 36, tags: ["a"] });
  assert.equal(await client.hget("user", "name"), "Ada");
  assert.deepEqual(await client.hmget("user", "name", "absent"), { name: "Ada", absent: null });
  assert.equal(await client.hincrby("user", "age", 1), 37);
  assert.equal(await client.hlen("user"), 3);
  assert.equal(await client.hdel("user", "tags"), 1);
}

async function publish(client) {
  assert.equal(await client.publish("news", "nobody listens"), 0);
}

async function errors_are_told(client, Build) {
  await client.set("word", "text");
  await assert.rejects(client.incr("word"), (error) => {
    assert.ok(error instanceof errors.UpstashError || error.name === "UpstashError");
    assert.match(error.message, /ERR value is not an integer or out of range/);
    return true;
  });
  await assert.rejects(client.exec(["NOSUCH", "a"]), /ERR unknown command 'NOSUCH', with args beginning with: 'a'/);
  await assert.rejects(client.eval("error('no')", [], []), /ERR user_script:1: no/);
  await assert.rejects(client.exec(["SUBSCRIBE", "news"]), /ERR SUBSCRIBE works on a connection/);
  const stranger = new Build({ ...settings, token: "wrong" });
  await assert.rejects(stranger.get("word"), /WRONGPASS/);
}

async function without_base64(client, Build) {
  const plain = new Build({ ...settings, responseEncoding: false, enableAutoPipelining: false });
  await plain.set("plain", "t\u00eaxt");
  assert.equal(await plain.get("plain"), "t\u00eaxt");
  assert.deepEqual(await plain.mget("plain", "absent"), ["t\u00eaxt", null]);
}

async function commands_of_our_own(client) {
  const lock = await client.exec(["LOCK.ACQUIRE", "job", "me", "TTL", 60_000]);
  const fence = lock[lock.indexOf("fence") + 1];
  assert.equal(await client.exec(["LOCK.RELEASE", "job", "me", "FENCE", fence]), 0);
  assert.deepEqual((await client.exec(["CL.THROTTLE", "caller", 2, 2, 60])).slice(0, 3), [0, 3, 2]);
}

const STEPS = [
  connect,
  set_and_get,
  expire_and_ttl,
  remove,
  pipeline,
  automatic_pipelining,
  transaction,
  scan,
  hashes,
  publish,
  errors_are_told,
  without_base64,
  commands_of_our_own,
];

for (const Build of [NodeRedis, EdgeRedis]) {
  const client = new Build(settings);
  for (const step of STEPS) {
    await step(client, Build);
    console.log(step.name);
  }
}
