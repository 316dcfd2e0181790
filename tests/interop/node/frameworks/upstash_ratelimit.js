// @upstash/ratelimit over HTTP: `upstash_ratelimit.js URL TOKEN`.

import assert from "node:assert/strict";
import { Ratelimit } from "@upstash/ratelimit";
import { Redis } from "@upstash/redis";

import { range, run } from "./job.js";

const redis = new Redis({ url: process.argv[2], token: process.argv[3] });

const KINDS = {
  fixed_window: Ratelimit.fixedWindow(5, "1 h"),
  sliding_window: Ratelimit.slidingWindow(5, "1 h"),
  token_bucket: Ratelimit.tokenBucket(1, "1 h", 5),
};

function limiter(name, options) {
  return new Ratelimit({ redis, limiter: KINDS[name], prefix: `limit:${name}`, ephemeralCache: false, ...options });
}

async function check(name) {
  const limit = limiter(name);
  const answers = [];
  for (const _ of range(7)) answers.push(await limit.limit("visitor"));
  assert.deepEqual(answers.map(({ success }) => success), [true, true, true, true, true, false, false]);
  assert.deepEqual(answers.map(({ remaining }) => remaining), [4, 3, 2, 1, 0, 0, 0]);
  assert.ok(answers[0].limit === 5 && answers[0].reset > Date.now());
  assert.equal((await limit.getRemaining("visitor")).remaining, 0);
  assert.equal((await limit.limit("another")).success, true);
  const at_once = await Promise.all(range(12).map(() => limit.limit("crowd")));
  assert.equal(at_once.filter(({ success }) => success).length, 5);
  await limit.resetUsedTokens("visitor");
  assert.equal((await limit.limit("visitor", { rate: 2 })).remaining, 3);
}

async function fixed_window() {
  await check("fixed_window");
}

async function sliding_window() {
  await check("sliding_window");
}

async function token_bucket() {
  await check("token_bucket");
}

async function with_a_cache() {
  const limit = limiter("fixed_window", { prefix: "cached", ephemeralCache: new Map() });
  for (const _ of range(5)) assert.equal((await limit.limit("visitor")).success, true);
  assert.equal((await limit.limit("visitor")).success, false);
  assert.equal((await limit.limit("visitor")).reason, "cacheBlock");
}

async function with_dynamic_limits() {
  const limit = limiter("fixed_window", { prefix: "dynamic", dynamicLimits: true });
  await limit.setDynamicLimit({ limit: 2 });
  const answers = [];
  for (const _ of range(3)) answers.push((await limit.limit("visitor")).success);
  assert.deepEqual(answers, [true, true, false]);
}

// Scripts that are not known yet are sent whole; the next call goes by its id.
async function scripts() {
  const script = redis.createScript("return {KEYS[1], ARGV[1], redis.call('INCR', KEYS[1])}");
  assert.deepEqual(await script.exec(["count"], ["x"]), ["count", "x", 1]);
  assert.deepEqual(await script.exec(["count"], ["x"]), ["count", "x", 2]);
  const replies = await redis.pipeline().eval("return ARGV[1]", [], ["é"]).evalsha(await redis.scriptLoad("return 7"), [], []).exec();
  assert.deepEqual(replies, ["é", 7]);
  await redis.scriptFlush();
  await assert.rejects(redis.evalsha("0".repeat(40), [], []), /NOSCRIPT/);
  assert.deepEqual(await script.exec(["count"], ["x"]), ["count", "x", 3]);
}

await run([fixed_window, sliding_window, token_bucket, with_a_cache, with_dynamic_limits, scripts]);
