// connect-redis: sessions of express on node-redis.

import assert from "node:assert/strict";
import { RedisStore } from "connect-redis";
import express from "express";
import session from "express-session";
import { createClient } from "redis";

import { PORT, range, run } from "./job.js";

const client = createClient({ url: `redis://127.0.0.1:${PORT}` });
await client.connect();
const store = new RedisStore({ client });
const app = express();
app.use(session({ store, resave: false, saveUninitialized: false, secret: "a secret of this test" }));
app.get("/", (request, answer) => {
  request.session.visits = (request.session.visits ?? 0) + 1;
  answer.send(`${request.session.visits}`);
});
app.get("/gone", (request, answer) => request.session.destroy(() => answer.send("gone")));
const server = app.listen(0, "127.0.0.1");
await new Promise((resolve) => server.once("listening", resolve));
const base = `http://127.0.0.1:${server.address().port}`;

// A browser: it sends back the cookie that it got.
function browser() {
  let cookie = "";
  return async (path) => {
    const answer = await fetch(base + path, { headers: { cookie } });
    cookie = answer.headers.get("set-cookie")?.split(";")[0] ?? cookie;
    return answer.text();
  };
}

const browsers = range(3).map(browser);

async function visits() {
  const counts = [];
  for (const _ of range(3)) counts.push(await browsers[0]("/"));
  assert.deepEqual(counts, ["1", "2", "3"]);
  assert.deepEqual([await browsers[1]("/"), await browsers[2]("/")], ["1", "1"]);
}

async function kept() {
  assert.equal(await store.length(), 3);
  assert.equal((await store.ids()).length, 3);
  assert.deepEqual((await store.all()).map(({ visits }) => visits).sort(), [1, 1, 3]);
  const [key] = await client.keys("sess:*");
  const left = await client.ttl(key);
  assert.ok(0 < left && left <= 86_400, `${left}`);
}

async function destroyed() {
  assert.equal(await browsers[0]("/gone"), "gone");
  assert.equal(await store.length(), 2);
  assert.equal(await browsers[0]("/"), "1");
  await store.clear();
  assert.equal(await store.length(), 0);
  assert.equal(await browsers[1]("/"), "1");
}

await run([visits, kept, destroyed]);
server.closeAllConnections();
server.close();
await client.close();
