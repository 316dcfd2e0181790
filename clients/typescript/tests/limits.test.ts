/** Limits: exact counts, several at once, and what middleware answers. */

import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";

import express from "express";
import fastify from "fastify";

import { type Limiter, LockLost, type Quartet, RateLimited, fastifyRateLimit, rateLimit } from "../src/index.js";
import { LIBRARIES, Server, aborted, client, name } from "./servers.js";

let server: Server;
before(async () => {
  server = await Server.start();
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

async function policy(quartet: Quartet, limit: number, algorithm = "gcra"): Promise<Limiter> {
  const limiter = quartet.limiter(name("policy"));
  await limiter.define({ limits: [{ algorithm, limit, period_ms: 3_600_000 }] });
  return limiter;
}

for (const library of LIBRARIES) {
  describe(library, () => {
    let quartet: Quartet;
    before(() => {
      quartet = client(library, server.port);
    });
    after(() => quartet.close());

    test("exactly as many as allowed", async () => {
      const ten = await policy(quartet, 10);
      const decisions = await Promise.all(Array.from({ length: 40 }, () => ten.check("ann")));
      assert.equal(decisions.filter((decision) => decision.allowed).length, 10);
      const refused = await ten.check("ann");
      assert.ok(!refused.allowed && refused.limit === 10 && refused.remaining === 0 && refused.taken === 0);
      assert.ok(refused.retryAfterMs !== null && refused.retryAfterMs > 0 && refused.retryAfterMs <= 360_000);
      assert.equal((await ten.check("bob")).remaining, 9);
    });

    test("what a check may ask", async () => {
      const five = await policy(quartet, 5);
      assert.equal((await five.check("ann", 1, { peek: true })).remaining, 5);
      assert.equal((await five.check("ann", 3)).remaining, 2);
      assert.equal((await five.check("ann", 9, { upTo: true })).taken, 2);
      assert.equal((await five.check("ann", 1, { upTo: true })).taken, 0);
      await five.reset("ann");
      assert.equal((await five.check("ann", 6)).retryAfterMs, null);
      await assert.rejects(five.acquire("ann", 6), RateLimited);
      const stated = quartet.limiter({ algorithm: "gcra", limit: 100, periodMs: 10_000, burst: 1 });
      const key = name("key");
      for (let round = 0; round < 4; round++) assert.ok((await stated.check(key, 1, { waitMs: 30_000 })).allowed);
    });

    test("several at once take from all or none", async () => {
      const [wide, narrow] = [await policy(quartet, 10), await policy(quartet, 2)];
      const ask = () => quartet.checkAll([[wide.policy, "ann"], [narrow.policy, "all", 1]]);
      assert.ok((await ask()).allowed && (await ask()).allowed);
      const refused = await ask();
      assert.ok(!refused.allowed && refused.policy === narrow.policy);
      assert.equal((await wide.check("ann", 1, { peek: true })).remaining, 8);
    });

    test("reservations, slots and functions", async () => {
      const ten = await policy(quartet, 10);
      {
        await using reservation = await ten.reserve("ann", 8);
        await assert.rejects(ten.reserve("ann", 5), RateLimited);
        assert.ok(await reservation.commit(3));
      }
      assert.equal((await ten.check("ann", 1, { peek: true })).remaining, 7);
      {
        await using _reservation = await ten.reserve("ann", 7);
      }
      assert.equal((await ten.check("ann", 1, { peek: true })).remaining, 7);
      const jobs = await policy(quartet, 1, "concurrency");
      {
        await using _slot = await jobs.enter("ann");
        await assert.rejects(jobs.enter("ann"), RateLimited);
      }
      const slot = await jobs.enter("ann", { ttlMs: 1200 });
      await jobs.reset("ann");
      assert.ok((await aborted(slot.signal)) instanceof LockLost);
      const two = await policy(quartet, 2);
      const greet = two.limit((user: string) => `user:${user}`, (user) => `hello ${user}`);
      assert.deepEqual([await greet("ann"), await greet("ann"), await greet("bob")], ["hello ann", "hello ann", "hello bob"]);
      await assert.rejects(greet("ann"), RateLimited);
    });

    test("express and plain Node", async () => {
      const two = await policy(quartet, 2);
      const app = express();
      app.use(rateLimit(two, { key: (request: express.Request) => request.get("x-user") ?? null }));
      app.get("/", (_request, response) => void response.send("hello"));
      const web = createServer(app).listen(0);
      await check((web.address() as AddressInfo).port);
      web.close();
      const limit = rateLimit(two);
      const plain = createServer((request, response) => limit(request, response, () => response.end("hello"))).listen(0);
      const answer = await fetch(`http://127.0.0.1:${(plain.address() as AddressInfo).port}`);
      assert.ok(answer.status === 200 && answer.headers.get("ratelimit")?.includes(";r=1;"));
      plain.close();
    });

    test("fastify", async () => {
      const two = await policy(quartet, 2);
      const app = fastify();
      app.addHook("onRequest", fastifyRateLimit(two, { key: (request) => (request as { headers?: Record<string, string> }).headers?.["x-user"] ?? null }));
      app.get("/", () => "hello");
      await app.listen({ port: 0, host: "127.0.0.1" });
      await check((app.server.address() as AddressInfo).port);
      await app.close();
    });

    test("without a server", async () => {
      await using gone = await Server.start();
      using quartet = client(library, gone.port);
      await gone.stop();
      const app = express();
      app.get("/refuse", rateLimit(quartet.limiter()), (_request, response) => void response.send("hello"));
      app.get("/allow", rateLimit(quartet.limiter(), { whenUnreachable: "allow" }), (_request, response) => void response.send("hello"));
      app.get("/throw", rateLimit(quartet.limiter(), { whenUnreachable: "throw" }), (_request, response) => void response.send("hello"));
      app.use(((_error, _request, response, _next) => void response.status(500).end()) satisfies express.ErrorRequestHandler);
      const web = createServer(app).listen(0);
      const status = async (path: string) => (await fetch(`http://127.0.0.1:${(web.address() as AddressInfo).port}/${path}`)).status;
      assert.deepEqual([await status("refuse"), await status("allow"), await status("throw")], [503, 200, 500]);
      web.close();
    });
  });
}

/** Asks a server that allows two requests of each user. */
async function check(port: number): Promise<void> {
  const get = (user?: string) => fetch(`http://127.0.0.1:${port}/`, user ? { headers: { "x-user": user } } : {});
  const allowed = [await get("ann"), await get("ann")];
  assert.deepEqual(allowed.map((answer) => answer.status), [200, 200]);
  assert.ok(allowed[0]?.headers.get("ratelimit")?.includes(";r=1;t="));
  assert.ok(allowed[0]?.headers.get("ratelimit-policy")?.endsWith(";q=2"));
  const refused = await get("ann");
  assert.equal(refused.status, 429);
  assert.ok(Number(refused.headers.get("retry-after")) > 0);
  assert.equal(refused.headers.get("content-type")?.split(";")[0], "application/problem+json");
  assert.ok((await refused.text()).includes("quota-exceeded"));
  const answer = await get("bob");
  assert.ok(answer.status === 200 && (await answer.text()) === "hello");
  for (let round = 0; round < 3; round++) assert.equal((await get()).status, 200);
}
