// A worker of `bull.js` in a process of its own.

import Queue from "bull";

import { PORT } from "./job.js";

const queue = new Queue("jobs", { redis: { port: PORT } });

queue.process("add", 1, async ({ data }) => data.one + data.other);
queue.process("note", 1, async ({ data }) => {
  await queue.client.rpush("notes", data.word);
});
queue.process("third_time", 1, async ({ attemptsMade }) => {
  if (attemptsMade < 2) throw new Error("not yet");
  return attemptsMade;
});
queue.process("never", 1, async () => {
  throw new Error("never works");
});
queue.process("progress", 1, async (job) => {
  for (const part of [25, 50, 100]) await job.progress(part);
  await job.log("a line");
});

process.once("SIGTERM", () => queue.close());
