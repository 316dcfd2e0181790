// Bee-Queue, whose scripts move jobs between lists, sets and hashes, on an old client.

import assert from "node:assert/strict";
import Queue from "bee-queue";

import { PORT, range, run, wait_until } from "./job.js";

const redis = { host: "127.0.0.1", port: PORT };
const worker = new Queue("jobs", { redis, activateDelayedJobs: true });
const sender = new Queue("jobs", { redis, isWorker: false });

const order = [];

worker.process(2, async ({ data }) => {
  if (data.word !== undefined) order.push(data.word);
  if (data.fails !== undefined && data.fails > order.filter((word) => word === "fails").length) {
    order.push("fails");
    throw new Error("not yet");
  }
  return data.number * 2;
});

const outcome = (job) =>
  new Promise((resolve, reject) => {
    job.on("succeeded", resolve);
    job.on("failed", reject);
  });

async function results() {
  const jobs = range(30).map((number) => sender.createJob({ number }));
  const outcomes = jobs.map(outcome);
  assert.equal((await sender.saveAll(jobs)).size, 0);
  assert.deepEqual(await Promise.all(outcomes), range(30).map((number) => 2 * number));
}

async function retries() {
  const job = sender.createJob({ number: 1, fails: 2 }).retries(2);
  const waiting = new Promise((resolve) => job.on("succeeded", resolve));
  await job.save();
  assert.equal(await waiting, 2);
  const failing = sender.createJob({ number: 1, fails: 99 });
  const failed = outcome(failing);
  await failing.save();
  await assert.rejects(failed, { message: "not yet" });
  assert.equal((await sender.checkHealth()).failed, 1);
}

async function later() {
  order.length = 0;
  const delayed = sender.createJob({ number: 1, word: "later" }).delayUntil(Date.now() + 300);
  const done = outcome(delayed);
  await delayed.save();
  await sender.createJob({ number: 1, word: "now" }).save();
  await done;
  assert.deepEqual(order, ["now", "later"]);
}

async function health() {
  await wait_until(async () => (await sender.checkHealth()).active === 0);
  const { waiting, delayed, failed, newestJob } = await sender.checkHealth();
  assert.deepEqual([waiting, delayed, failed, newestJob], [0, 0, 1, 34]);
  assert.equal(await worker.checkStalledJobs(), 0);
  await sender.destroy();
}

await run([results, retries, later, health]);
await Promise.all([worker.close(), sender.close()]);
