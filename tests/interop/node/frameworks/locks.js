// Locks of Node: redlock and redis-semaphore on ioredis, all with their defaults.

import assert from "node:assert/strict";
import { Redis } from "ioredis";
import Redlock from "redlock";
import { MultiSemaphore, Mutex, RedlockMutex, RedlockSemaphore, Semaphore } from "redis-semaphore";

import { PORT, crowd, run, wait_until } from "./job.js";

const client = new Redis(PORT);

async function redlock_hands_over() {
  const locks = new Redlock([client]);
  const counted = await crowd(4, async (inside) => {
    const lock = await locks.lock("turn", 60_000);
    await inside();
    await lock.unlock();
  });
  assert.deepEqual(counted, { most: 1, entered: 4 });
  assert.equal(await client.exists("turn"), 0);
}

async function redlock_over_many_keys() {
  const locks = new Redlock([client], { retryCount: 0 });
  const lock = await locks.lock(["one", "two", "three"], 10_000);
  await assert.rejects(locks.lock("two", 10_000), { name: "LockError" });
  await lock.extend(60_000);
  const left = await client.pttl("three");
  assert.ok(10_000 < left && left <= 60_000, `${left}`);
  await lock.unlock();
  assert.equal(await client.exists("one", "two", "three"), 0);
}

async function redlock_that_was_lost() {
  const locks = new Redlock([client], { retryCount: 0 });
  const lock = await locks.lock("short", 20);
  await wait_until(async () => (await client.exists("short")) === 0);
  const other = await locks.lock("short", 10_000);
  await assert.rejects(lock.extend(10_000), { name: "LockError" });
  await assert.rejects(lock.unlock(), { name: "LockError" });
  await other.unlock();
}

async function mutex() {
  const counted = await crowd(8, async (inside) => {
    const mutex = new Mutex(client, "mutex");
    await mutex.acquire();
    await inside();
    await mutex.release();
  });
  assert.deepEqual(counted, { most: 1, entered: 8 });
  const first = new Mutex(client, "mutex");
  const second = new Mutex(client, "mutex", { acquireTimeout: 20 });
  assert.equal(await first.tryAcquire(), true);
  assert.equal(await second.tryAcquire(), false);
  assert.equal(first.isAcquired, true);
  await first.release();
}

async function semaphore() {
  const counted = await crowd(12, async (inside) => {
    const semaphore = new Semaphore(client, "semaphore", 3);
    await semaphore.acquire();
    await inside();
    await semaphore.release();
  });
  assert.equal(counted.entered, 12);
  assert.ok(counted.most <= 3, `${counted.most}`);
}

async function multi_semaphore() {
  const first = new MultiSemaphore(client, "permits", 5, 3);
  const second = new MultiSemaphore(client, "permits", 5, 3, { acquireTimeout: 20 });
  assert.equal(await first.tryAcquire(), true);
  assert.equal(await second.tryAcquire(), false);
  await first.release();
  assert.equal(await second.tryAcquire(), true);
  await second.release();
}

async function with_many_servers() {
  const clients = [client, new Redis(PORT, { db: 1 }), new Redis(PORT, { db: 2 })];
  const counted = await crowd(4, async (inside) => {
    const mutex = new RedlockMutex(clients, "majority");
    await mutex.acquire();
    await inside();
    await mutex.release();
  });
  assert.deepEqual(counted, { most: 1, entered: 4 });
  const semaphore = new RedlockSemaphore(clients, "majorities", 2);
  assert.equal(await semaphore.tryAcquire(), true);
  await semaphore.release();
  await Promise.all(clients.slice(1).map((other) => other.quit()));
}

// The lock outlives its time while its holder lives, as it is refreshed.
async function refreshed() {
  // A busy machine may be late by seconds.
  const mutex = new Mutex(client, "long", { lockTimeout: 20_000, refreshInterval: 1000 });
  await mutex.acquire();
  const remaining = () => client.pttl("mutex:long");
  await wait_until(async () => (await remaining()) < 19_500);
  await wait_until(async () => (await remaining()) > 19_500);
  await mutex.release();
  assert.equal(await client.exists("mutex:long"), 0);
}

await run([
  redlock_hands_over,
  redlock_over_many_keys,
  redlock_that_was_lost,
  mutex,
  semaphore,
  multi_semaphore,
  with_many_servers,
  refreshed,
]);
await client.quit();
