// Runs jobs one after the other, and what several of them need.  It runs on Node and in browsers.

import { jetstream, jetstreamManager } from "@nats-io/jetstream";

/** Whoever waits for so long waits in vain; it bounds a broken run, no working one depends on it. */
export const HANG_GUARD = 60_000;

/** Runs the jobs that are wanted, of which none means all; how many failed. */
export async function run(client, all, wanted, print, explain) {
  let failures = 0;
  const manager = await jetstreamManager(client, { timeout: HANG_GUARD });
  for (const job of all) {
    if (wanted.length > 0 && !wanted.includes(job.name)) continue;
    try {
      await guarded(job({ client, manager, streams: jetstream(client, { timeout: HANG_GUARD }), print }));
      print(job.name);
    } catch (error) {
      failures += 1;
      print(`failed: ${job.name}`);
      explain(error);
    }
    for (const name of await all_of(manager.streams.names())) await manager.streams.delete(name);
  }
  await client.close();
  return failures;
}

/** What a promise comes to, unless it takes too long. */
export function guarded(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("it hangs")), HANG_GUARD);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

/** Fails unless both are written alike. */
export function same(found, expected) {
  const [is, should] = [JSON.stringify(found), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${is?.slice(0, 800)} is not ${should.slice(0, 800)}`);
}

/** Everything that an asynchronous iteration gives. */
export async function all_of(iterable) {
  const found = [];
  for await (const one of await iterable) found.push(one);
  return found;
}

/** The next things of an asynchronous iteration that goes on. */
export async function next(iterable, count) {
  const found = [];
  if (count === 0) return found;
  for await (const one of iterable) if (found.push(one) === count) break;
  return found;
}

/** The error of the API that a call ends with. */
export async function refused(call, code, err_code, text) {
  const error = await failed(call);
  const told = typeof error.apiError === "function" ? error.apiError() : error.cause?.apiError?.() ?? error;
  same([told.code, told.err_code], [code, err_code]);
  if (!told.description.includes(text)) throw new Error(`${told.description} does not say ${text}`);
}

/** The error that a call ends with. */
export async function failed(call) {
  const error = await call.then(() => null, (error) => error);
  if (error === null) throw new Error("nobody refused it");
  return error;
}

/** Waits until an asynchronous condition finds something, which is returned. */
export async function until(condition) {
  for (;;) {
    const found = await condition();
    if (found) return found;
    await pause(10);
  }
}

export const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

export const numbers = (count, first = 0) => Array.from({ length: count }, (_, number) => String(first + number));

/** Publishes a number per message, and has them acknowledged. */
export async function publish_numbers(streams, subject, count) {
  return Promise.all(numbers(count).map((number) => streams.publish(subject, number)));
}

export const text = (message) => message.string();
