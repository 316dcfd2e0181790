// ioredis' commands that are scripts, with its default settings: `ioredis_scripts.js PORT`.
//
// Each function is a step; its name is printed once it has passed.

import assert from "node:assert/strict";
import { Redis } from "ioredis";

async function define_command(client) {
  client.defineCommand("addBoth", {
    numberOfKeys: 2,
    lua: "return redis.call('INCRBY', KEYS[1], ARGV[1]) + redis.call('INCRBY', KEYS[2], ARGV[2])",
  });
  assert.equal(await client.addBoth("one", "two", 1, 2), 3);
  // The second call goes by the script's id.
  assert.equal(await client.addBoth("one", "two", 1, 2), 6);
  await client.script("FLUSH");
  assert.equal(await client.addBoth("one", "two", 1, 2), 9);
}

async function pipeline(client) {
  const replies = await client.pipeline().addBoth("one", "two", 1, 1).get("one").exec();
  assert.deepEqual(replies, [
    [null, 11],
    [null, "4"],
  ]);
}

async function transaction(client) {
  const replies = await client.multi().addBoth("one", "two", 1, 1).get("two").exec();
  assert.deepEqual(replies, [
    [null, 13],
    [null, "8"],
  ]);
}

async function computed_keys(client) {
  const script = "for i = 1, 3 do redis.call('SET', 'job:' .. i, i) end return redis.call('EXISTS', 'job:1', 'job:2', 'job:3')";
  assert.equal(await client.eval(script, 0), 3);
  assert.equal(await client.eval(script, 0), 3);
}

async function errors(client) {
  await assert.rejects(client.eval("error('no')", 0), {
    message: /^ERR user_script:1: no script: [0-9a-f]{40}, on @user_script:1\.$/,
  });
}

async function functions(client) {
  const code = "#!lua name=sums\nredis.register_function('sum', function(keys, args) return redis.call('INCRBY', keys[1], args[1]) end)";
  assert.equal(await client.function("LOAD", code), "sums");
  assert.equal(await client.fcall("sum", 1, "total", 4), 4);
  assert.equal(await client.fcall("sum", 1, "total", 3), 7);
  await assert.rejects(client.fcall_ro("sum", 1, "total", 1), {
    message: "ERR Can not execute a script with write flag using *_ro command.",
  });
  assert.deepEqual((await client.function("LIST"))[0].slice(0, 4), ["library_name", "sums", "engine", "LUA"]);
  assert.equal(await client.function("DELETE", "sums"), "OK");
}

const STEPS = [define_command, pipeline, transaction, computed_keys, errors, functions];

const client = new Redis(Number(process.argv[2]));
for (const step of STEPS) {
  await step(client);
  console.log(step.name);
}
assert.equal(await client.quit(), "OK");
