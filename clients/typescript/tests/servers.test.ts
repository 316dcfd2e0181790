/** Servers that ask for a password, speak TLS, or are not Quartet. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Redis } from "ioredis";
import { createClient } from "redis";

import { NotQuartet, Quartet } from "../src/index.js";
import { LIBRARIES, Relay, Server, certificate, client, name, redisServer } from "./servers.js";

async function works(quartet: Quartet): Promise<void> {
  await quartet.lock(name()).withLock((_signal, lease) => assert.ok(lease.fencingToken > 0));
  await using session = await quartet.session();
  await session.lock(name()).acquire();
  await using reservation = await quartet.limiter().reserve(name("key"), 2);
  assert.equal(reservation.decision.policy, "default");
  assert.equal((await quartet.limiter().check(name("key"), 3, { upTo: true })).taken, 3);
}

for (const library of LIBRARIES) {
  describe(library, () => {
    test("password", async () => {
      await using server = await Server.start("--requirepass", "sesame");
      using quartet = client(library, server.port, { password: "sesame" });
      await works(quartet);
      using wrong = client(library, server.port, { password: "wrong" });
      await assert.rejects(wrong.lock(name()).acquire(), /WRONGPASS|NOAUTH/);
    });

    test("TLS", async () => {
      await using server = await Server.start();
      const tls = certificate();
      await using relay = await Relay.start(server.port, tls);
      using quartet = client(library, relay.port, { ca: tls.cert });
      await works(quartet);
      using stranger = client(library, relay.port, { ca: certificate().cert });
      await assert.rejects(stranger.lock(name()).acquire());
    });

    test("a server that is not Quartet", async (context) => {
      await using other = await redisServer();
      if (!other) return context.skip("there is no redis-server");
      using quartet = client(library, other.port);
      const remedy = { name: "NotQuartet", message: /give the client the address of a Quartet server/ };
      await assert.rejects(quartet.lock("x").acquire(), remedy);
      await assert.rejects(quartet.limiter().check("x"), NotQuartet);
      await assert.rejects(quartet.session(), NotQuartet);
    });
  });
}

test("both versions of the protocol, and clients that are connected", async () => {
  await using server = await Server.start();
  for (const RESP of [2, 3] as const) {
    const given = createClient({ RESP, url: `redis://127.0.0.1:${server.port}` });
    await given.connect();
    using quartet = new Quartet(given);
    await works(quartet);
    await given.close();
  }
  const given = new Redis(server.port, { keyPrefix: "prefix:", db: 1 });
  using quartet = new Quartet(given);
  await works(quartet);
  given.disconnect();
  assert.throws(() => new Quartet({} as never), TypeError);
});
