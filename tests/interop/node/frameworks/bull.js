// Bull, the queue on lists and sorted sets, with a worker process.

import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import Queue from "bull";

import { PORT, range, run, wait_until } from "./job.js";

const queue = new Queue("jobs", { redis: { port: PORT } });

async function notes() {
  return queue.client.lrange("notes", 0, -1);
}

// Jobs of higher priority, of which one is the highest, come first.
async function priorities() {
  await queue.pause();
  for (const [word, priority] of [["last", 9], ["first", 1], ["middle", 5], ["second", 1]]) {
    await queue.add("note", { word }, { priority });
  }
  assert.equal((await queue.getJobCounts()).paused, 4);
  await queue.resume();
  await wait_until(async () => (await notes()).length === 4);
  assert.deepEqual(await notes(), ["first", "second", "middle", "last"]);
  await queue.client.del("notes");
}

async function results() {
  const jobs = await queue.addBulk(range(30).map((number) => ({ name: "add", data: { one: number, other: number } })));
  assert.deepEqual(await Promise.all(jobs.map((job) => job.finished())), range(30).map((number) => 2 * number));
  assert.equal(await queue.getCompletedCount(), 34);
}

async function one_job_of_a_name() {
  const twice = await Promise.all(range(2).map(() => queue.add("add", { one: 1, other: 2 }, { jobId: "named", delay: 100 })));
  assert.equal(await twice[0].finished(), 3);
  assert.equal(twice[1].id, "named");
}

async function retries() {
  const job = await queue.add("third_time", {}, { attempts: 3, backoff: 10 });
  assert.equal(await job.finished(), 2);
  const failed = await queue.add("never", {}, { attempts: 2 });
  await assert.rejects(failed.finished(), { message: "never works" });
  assert.deepEqual((await queue.getFailed()).map((job) => job.id), [failed.id]);
  const kept = await queue.getJob(failed.id);
  assert.equal(kept.attemptsMade, 2);
  await kept.retry();
  await wait_until(async () => (await (await queue.getJob(failed.id)).isFailed()) && (await queue.getFailedCount()) === 1);
}

async function later() {
  const delayed = await queue.add("note", { word: "later" }, { delay: 500 });
  assert.equal(await delayed.getState(), "delayed");
  const removed = await queue.add("note", { word: "removed" }, { delay: 500 });
  await removed.remove();
  await (await queue.add("note", { word: "now" })).finished();
  await delayed.finished();
  assert.deepEqual(await notes(), ["now", "later"]);
}

async function progress() {
  const seen = [];
  const job = await queue.add("progress", {}, { delay: 50 });
  queue.on("global:progress", (id, part) => id === job.id && seen.push(part));
  await queue.isReady();
  await job.finished();
  await wait_until(() => seen.length === 3);
  assert.deepEqual(seen.map(Number), [25, 50, 100]);
  assert.deepEqual((await queue.getJobLogs(job.id)).logs, ["a line"]);
}

async function repeated() {
  await queue.add("note", { word: "tick" }, { repeat: { every: 100, limit: 3 } });
  await wait_until(async () => (await notes()).length === 5);
  assert.deepEqual((await notes()).slice(2), ["tick", "tick", "tick"]);
  for (const { key } of await queue.getRepeatableJobs()) await queue.removeRepeatableByKey(key);
}

async function cleaned() {
  assert.equal((await queue.clean(0, "failed")).length, 1);
  assert.ok((await queue.getWorkers()).length >= 1);
  await queue.client.del("notes");
  await queue.obliterate({ force: true });
  assert.deepEqual(await queue.client.keys("bull:*"), []);
}

const worker = fork(fileURLToPath(new URL("bull_worker.js", import.meta.url)), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
const ended = new Promise((resolve) => worker.once("exit", (code, signal) => resolve(code ?? signal)));
process.once("exit", () => worker.kill("SIGKILL"));
await run([priorities, results, one_job_of_a_name, retries, later, progress, repeated, cleaned]);
worker.disconnect();
worker.kill("SIGTERM");
assert.equal(await ended, 0);
await queue.close();
