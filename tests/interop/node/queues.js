// Queues of ioredis on lists, with its default settings: `node queues.js PORT`.
//
// Each function is a step; its name is printed once it has passed.

import assert from "node:assert/strict";
import { Redis, ReplyError } from "ioredis";

const JOBS = 300;
const WORKERS = 4;

async function push_and_pop(client) {
  assert.equal(await client.rpush("list", "a", "b", 3), 3);
  assert.equal(await client.lpush("list", "first"), 4);
  assert.deepEqual(await client.lrange("list", 0, -1), ["first", "a", "b", "3"]);
  assert.equal(await client.lpop("list"), "first");
  assert.deepEqual(await client.rpop("list", 2), ["3", "b"]);
  assert.equal(await client.linsert("list", "BEFORE", "a", "0"), 2);
  assert.equal(await client.lmove("list", "other", "LEFT", "RIGHT"), "0");
  assert.deepEqual(await client.lmpop(2, "absent", "list", "LEFT"), ["list", ["a"]]);
  assert.equal(await client.ltrim("other", 1, 0), "OK");
}

async function wait_in_vain(client) {
  const waiting = client.duplicate();
  assert.equal(await waiting.blpop("absent", 0.05), null);
  assert.equal(await waiting.brpop("absent", "other", 0.05), null);
  assert.equal(await waiting.blmove("absent", "other", "LEFT", "RIGHT", 0.05), null);
  assert.equal(await waiting.blmpop(0.05, 1, "absent", "LEFT"), null);
  waiting.disconnect();
}

async function until_blocked(client, count) {
  while (Number(/blocked_clients:(\d+)/.exec(await client.info("clients"))[1]) < count);
}

async function in_order(client) {
  const waiting = [];
  const popped = [];
  for (let number = 0; number < WORKERS; number++) {
    waiting.push(client.duplicate());
    popped.push(waiting[number].blpop("queue", "other", 0));
    await until_blocked(client, number + 1);
  }
  await client.rpush("queue", ...Array.from({ length: WORKERS }, (_, number) => number));
  assert.deepEqual(
    await Promise.all(popped),
    popped.map((_, number) => ["queue", String(number)]),
  );
  waiting.forEach((each) => each.disconnect());
}

async function unblocked(client) {
  const waiting = client.duplicate();
  const number = await waiting.client("ID");
  const popped = waiting.blpop("absent", 0);
  await until_blocked(client, 1);
  assert.equal(await client.client("UNBLOCK", number, "ERROR"), 1);
  await assert.rejects(popped, ReplyError);
  waiting.disconnect();
}

async function workers_that_lose_nothing(client) {
  const done = [];
  const work = async (name) => {
    const own = client.duplicate();
    for (;;) {
      const job = await own.blmove("jobs", `working:${name}`, "LEFT", "RIGHT", 0);
      if (job === "stop") break;
      done.push(Number(job));
      assert.equal(await own.lrem(`working:${name}`, 1, job), 1);
    }
    own.disconnect();
  };
  const workers = Array.from({ length: WORKERS }, (_, name) => work(name));
  for (let number = 0; number < JOBS; number++) await client.rpush("jobs", number);
  await client.rpush("jobs", ...Array(WORKERS).fill("stop"));
  await Promise.all(workers);
  done.sort((one, other) => one - other);
  assert.deepEqual(
    done,
    Array.from({ length: JOBS }, (_, number) => number),
  );
}

const client = new Redis(Number(process.argv[2]));
const steps = [push_and_pop, wait_in_vain, in_order, unblocked, workers_that_lose_nothing];
for (const step of steps) {
  await step(client);
  console.log(step.name);
}
client.disconnect();
