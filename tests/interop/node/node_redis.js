// node-redis with its default settings: `node node_redis.js PORT`.
//
// Each function is a step; its name is printed once it has passed.

import assert from "node:assert/strict";
import { createClient, ErrorReply, RESP_TYPES, WatchError } from "redis";

const KEYS = 1000;

async function connect(client) {
  assert.equal(await client.ping(), "PONG");
  assert.match(await client.info("server"), /redis_version:\d+\.\d+\.\d+/);
}

async function set_and_get(client) {
  assert.equal(await client.set("greeting", "hello"), "OK");
  assert.equal(await client.get("greeting"), "hello");
  assert.equal(await client.get("absent"), null);
  assert.equal(await client.set("greeting", "again", { condition: "NX" }), null);
  const everything = Buffer.from(Array.from({ length: 25600 }, (_, index) => index % 256));
  await client.set(everything, everything);
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
  assert.deepEqual(await bytes.get(everything), everything);
  await client.mSet({ one: "1", two: "2" });
  assert.deepEqual(await client.mGet(["one", "absent", "two"]), ["1", null, "2"]);
  assert.equal(await client.incrBy("one", 41), 42);
}

async function expire_and_ttl(client) {
  await client.set("session", "open");
  assert.equal(await client.ttl("session"), -1);
  assert.equal(await client.expire("session", 100), 1);
  const seconds = await client.ttl("session");
  assert.ok(seconds > 0 && seconds <= 100);
  assert.equal(await client.ttl("absent"), -2);
  await client.set("moment", "gone soon", { expiration: { type: "PX", value: 1 } });
  while (await client.exists("moment"));
}

async function remove(client) {
  await client.mSet({ first: "1", second: "2" });
  assert.equal(await client.del(["first", "second", "absent"]), 2);
}

async function pipeline(client) {
  const batch = client.multi();
  for (let number = 0; number < KEYS; number++) batch.set(`batch:${number}`, `${number}`);
  const replies = await batch.get("batch:7").exec();
  assert.deepEqual(replies, [...Array(KEYS).fill("OK"), "7"]);
  const together = await Promise.all([client.get("batch:1"), client.get("batch:2"), client.get("batch:3")]);
  assert.deepEqual(together, ["1", "2", "3"]);
}

async function transaction(client) {
  const other = await client.duplicate().connect();
  await client.set("balance", "10");
  await client.watch("balance");
  await other.set("balance", "50");
  await assert.rejects(client.multi().set("balance", "11").exec(), WatchError);
  await client.watch("balance");
  assert.deepEqual(await client.multi().set("balance", "51").exec(), ["OK"]);
  assert.equal(await other.get("balance"), "51");
  await other.close();
}

async function scan(client) {
  const pairs = Array.from({ length: KEYS }, (_, number) => [`item:${number}`, `${number}`]);
  await client.mSet(pairs);
  const found = new Set();
  for await (const keys of client.scanIterator({ MATCH: "item:*", COUNT: 50 })) keys.forEach((key) => found.add(key));
  assert.deepEqual([...found].sort(), pairs.map(([key]) => key).sort());
}

async function publish_and_subscribe(client) {
  const listener = await client.duplicate().connect();
  const message = new Promise((heard) => listener.subscribe("news", (...words) => heard(words)));
  const matched = new Promise((heard) => listener.pSubscribe("n?w*", (...words) => heard(words)));
  while ((await client.publish("news", "extra")) !== 2);
  assert.deepEqual(await message, ["extra", "news"]);
  assert.deepEqual(await matched, ["extra", "news"]);
  await listener.unsubscribe();
  await listener.pUnsubscribe();
  assert.equal(await listener.ping(), "PONG");
  await listener.close();
}

async function errors(client) {
  await client.set("word", "text");
  await assert.rejects(client.incr("word"), (error) => {
    return error instanceof ErrorReply && error.message === "ERR value is not an integer or out of range";
  });
  await assert.rejects(client.sendCommand(["NOSUCH", "a"]), {
    message: /^ERR unknown command 'NOSUCH', with args beginning with: 'a'/,
  });
}

async function reconnect(client) {
  const identity = await client.clientId();
  const other = await client.duplicate().connect();
  const ready = new Promise((heard) => client.once("ready", heard));
  assert.equal(await other.clientKill({ filter: "ID", id: identity }), 1);
  await ready;
  assert.equal(await client.get("word"), "text");
  assert.notEqual(await client.clientId(), identity);
  await other.close();
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

// The library asks for a listener; the steps themselves look at errors.
const client = createClient({ socket: { port: Number(process.argv[2]) } }).on("error", () => {});
await client.connect();
for (const step of STEPS) {
  await step(client);
  console.log(step.name);
}
await client.close();
