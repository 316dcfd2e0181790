// Limiters of Node: rate-limit-redis, rate-limiter-flexible and bottleneck over ioredis and node-redis.

import assert from "node:assert/strict";
import Bottleneck from "bottleneck";
import express from "express";
import { rateLimit } from "express-rate-limit";
import * as ioredis from "ioredis";
import { RedisStore } from "rate-limit-redis";
import { BurstyRateLimiter, RateLimiterQueue, RateLimiterRedis } from "rate-limiter-flexible";
import { createClient } from "redis";

import { PORT, crowd, range, run, wait_until } from "./job.js";

const first = new ioredis.Redis(PORT);
const second = createClient({ url: `redis://127.0.0.1:${PORT}` });
await second.connect();

const SENDERS = {
  ioredis: (name, ...rest) => first.call(name, ...rest),
  redis: (...command) => second.sendCommand(command),
};

async function rate_limit_redis() {
  for (const [name, sendCommand] of Object.entries(SENDERS)) {
    const app = express();
    const store = new RedisStore({ sendCommand, prefix: `${name}:` });
    app.use(rateLimit({ windowMs: 60_000, limit: 5, standardHeaders: "draft-7", legacyHeaders: false, store }));
    app.get("/", (_, answer) => answer.send("a page"));
    const server = app.listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const get = () => fetch(`http://127.0.0.1:${server.address().port}/`);
    const answers = [];
    for (const _ of range(7)) answers.push(await get());
    assert.deepEqual(answers.map((answer) => answer.status), [200, 200, 200, 200, 200, 429, 429], name);
    assert.match(answers[0].headers.get("ratelimit"), /^limit=5, remaining=4, reset=(60|59)$/);
    const keys = await first.keys(`${name}:*`);
    assert.equal(keys.length, 1);
    const visitor = keys[0].slice(name.length + 1);
    assert.equal((await store.get(visitor)).totalHits, 7);
    await store.decrement(visitor);
    assert.equal((await store.get(visitor)).totalHits, 6);
    await store.resetKey(visitor);
    assert.equal((await get()).status, 200);
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

// How many of `count` tries at once `limiter` grants.
async function granted(limiter, key, count) {
  const outcomes = await Promise.allSettled(range(count).map(() => limiter.consume(key)));
  for (const { reason } of outcomes.filter(({ status }) => status === "rejected")) {
    assert.ok(reason.msBeforeNext > 0 && reason.remainingPoints === 0, `${reason}`);
  }
  return outcomes.filter(({ status }) => status === "fulfilled").length;
}

async function rate_limiter_flexible() {
  const clients = { ioredis: { storeClient: first }, redis: { storeClient: second, useRedisPackage: true } };
  for (const [name, client] of Object.entries(clients)) {
    const limiter = new RateLimiterRedis({ ...client, keyPrefix: `flexible:${name}`, points: 5, duration: 60 });
    assert.equal(await granted(limiter, "visitor", 12), 5, name);
    assert.equal((await limiter.get("visitor")).consumedPoints, 12);
    assert.equal((await limiter.reward("visitor", 10)).consumedPoints, 2);
    assert.equal((await limiter.penalty("visitor", 2)).consumedPoints, 4);
    assert.equal((await limiter.consume("visitor")).remainingPoints, 0);
    assert.equal(await limiter.delete("visitor"), true);
    assert.equal(await limiter.get("visitor"), null);
    await limiter.block("visitor", 30);
    await assert.rejects(limiter.consume("visitor"), ({ msBeforeNext }) => 0 < msBeforeNext && msBeforeNext <= 30_000);
    await limiter.set("other", 4, 60);
    assert.equal(await granted(limiter, "other", 3), 1);

    const blocking = new RateLimiterRedis({ ...client, keyPrefix: `blocking:${name}`, points: 1, duration: 1, blockDuration: 60 });
    await blocking.consume("visitor");
    await assert.rejects(blocking.consume("visitor"), ({ msBeforeNext }) => 1_000 < msBeforeNext);

    const bursty = new BurstyRateLimiter(
      new RateLimiterRedis({ ...client, keyPrefix: `steady:${name}`, points: 2, duration: 60 }),
      new RateLimiterRedis({ ...client, keyPrefix: `burst:${name}`, points: 3, duration: 60 }),
    );
    const outcomes = await Promise.allSettled(range(8).map(() => bursty.consume("visitor")));
    assert.equal(outcomes.filter(({ status }) => status === "fulfilled").length, 5);

    const queue = new RateLimiterQueue(
      new RateLimiterRedis({ ...client, keyPrefix: `queue:${name}`, points: 2, duration: 1 }),
    );
    const order = [];
    await Promise.all(range(4).map((number) => queue.removeTokens(1, "visitor").then(() => order.push(number))));
    assert.deepEqual(order, [0, 1, 2, 3]);
  }
}

const cluster = (options) =>
  new Bottleneck({ id: "shared", datastore: "ioredis", Redis: ioredis.Redis, clearDatastore: false, clientOptions: { port: PORT }, ...options });

async function bottleneck() {
  const options = { maxConcurrent: 2, reservoir: 20 };
  const limiters = [cluster(options), cluster(options)];
  await Promise.all(limiters.map((limiter) => limiter.ready()));
  const counted = await crowd(20, (inside, number) => limiters[number % 2].schedule(inside));
  assert.equal(counted.entered, 20);
  assert.ok(counted.most <= 2, `${counted.most}`);
  assert.equal(await limiters[1].currentReservoir(), 0);
  assert.equal(await limiters[0].running(), 0);
  assert.equal(await limiters[0].done(), 20);
  // What waits for room goes on as soon as another member of the cluster makes some.
  const waiting = limiters[0].schedule(async () => "went on");
  assert.equal(await limiters[0].check(), false);
  await limiters[1].incrementReservoir(5);
  assert.equal(await waiting, "went on");
  assert.equal(await limiters[1].currentReservoir(), 4);
  await Promise.all(limiters.map((limiter) => limiter.disconnect()));
}

async function bottleneck_by_key() {
  const group = new Bottleneck.Group({ id: "group", maxConcurrent: 1, datastore: "ioredis", Redis: ioredis.Redis, clientOptions: { port: PORT }, timeout: 60_000 });
  const order = [];
  const jobs = range(6).map((number) => group.key(`customer-${number % 2}`).schedule(async () => order.push(number)));
  await Promise.all(jobs);
  assert.deepEqual(order.filter((number) => number % 2 === 0), [0, 2, 4]);
  assert.deepEqual(order.filter((number) => number % 2 === 1), [1, 3, 5]);
  assert.deepEqual((await group.clusterKeys()).sort(), ["customer-0", "customer-1"]);
  assert.equal(await group.deleteKey("customer-0"), true);
  await wait_until(async () => (await group.clusterKeys()).length === 1);
  await group.disconnect();
}

await run([rate_limit_redis, rate_limiter_flexible, bottleneck, bottleneck_by_key]);
await first.quit();
await second.close();
