/** Locks that are lost: the holder is told in time, and nothing goes on silently. */

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { Book, SlotHolding, patience } from "../src/holdings.js";
import { LockLost, NotHeld } from "../src/index.js";
import { Term } from "../src/terms.js";
import { LIBRARIES, Relay, Server, aborted, client, name, waitFor } from "./servers.js";

/** Of a lease that a test loses, and of one that it must not lose, though renewal comes late on a busy machine. */
const [SHORT_MS, KEPT_MS] = [1200, 5000];

test("more holdings than a call takes arguments", () => {
  const book = new Book();
  const holdings = Array.from({ length: 200_000 }, (_, number) => {
    return new SlotHolding("default", "ann", String(number), new Term(60_000, number * 60_000));
  });
  for (const holding of holdings.toReversed()) book.add(holding);
  assert.equal(book.nextDue(), holdings[0]?.dueAt);
  assert.equal(book.nextEnd(), holdings[0]?.lostAt);
  assert.equal(new Book().nextEnd(), Infinity);
  assert.ok(patience(holdings, 0) > 0);
});

for (const library of LIBRARIES) {
  describe(library, () => {
    test("forced", async () => {
      await using server = await Server.start();
      using quartet = client(library, server.port);
      const resource = name();
      let reason: unknown;
      const holding = quartet.lock(resource, { ttlMs: SHORT_MS }).withLock(async (signal, lease) => {
        await server.command("LOCK.FORCE", resource);
        reason = await aborted(signal);
        assert.ok(lease.isLost);
        assert.throws(() => lease.throwIfLost(), LockLost);
      });
      await assert.rejects(holding, (error) => error === reason && error instanceof LockLost);
      // And if nobody has noticed before the end.
      const unnoticed = quartet.lock(resource).withLock(() => server.command("LOCK.FORCE", resource));
      await assert.rejects(unnoticed, LockLost);
      // What was thrown goes first.
      const failing = quartet.lock(resource).withLock(async () => {
        await server.command("LOCK.FORCE", resource);
        throw new RangeError("of the block");
      });
      await assert.rejects(failing, RangeError);
      const block = async (): Promise<void> => {
        await using _lease = await quartet.lock(resource).acquire();
        await server.command("LOCK.FORCE", resource);
      };
      await assert.rejects(block(), LockLost);
    });

    test("server paused, stopped and started again", async () => {
      await using server = await Server.start();
      using quartet = client(library, server.port);
      const paused = quartet.lock(name(), { ttlMs: SHORT_MS }).withLock(async (signal) => {
        server.pause();
        await aborted(signal);
        server.resume();
      });
      await assert.rejects(paused, LockLost);
      await using relay = await Relay.start(server.port);
      using reconnected = client(library, relay.port);
      const restarted = reconnected.lock(name()).withLock(async () => {
        await server.stop();
        await server.start();
        relay.target = server.port;
      });
      await assert.rejects(restarted, LockLost);
      using again = client(library, server.port);
      const session = await again.session({ ttlMs: SHORT_MS });
      const lease = await session.lock(name()).acquire();
      await server.stop();
      assert.ok((await aborted(lease.signal)) instanceof LockLost);
      assert.ok(session.isLost);
      await assert.rejects(session.close(), LockLost);
    });

    test("a client that is closed renews nothing", async () => {
      await using server = await Server.start();
      const quartet = client(library, server.port);
      const lease = await quartet.lock(name()).acquire();
      quartet.close();
      assert.ok(lease.signal.aborted);
      await assert.rejects(lease.release(), /its client was closed/);
    });

    test("nothing goes on behind a release", async () => {
      await using server = await Server.start();
      using quartet = client(library, server.port);
      const session = await quartet.session();
      const [lease, kept] = [await quartet.lock(name()).acquire(), await session.lock(name()).acquire()];
      await lease.release();
      await session.close();
      for (const held of [lease, kept]) {
        assert.equal(held.remainingMs, 0);
        assert.ok(!held.signal.aborted);
        assert.throws(() => held.throwIfLost(), NotHeld);
        await held.release();
      }
    });

    test("a release that does not reach the server is tried again", async () => {
      await using server = await Server.start();
      await using relay = await Relay.start(server.port);
      using quartet = client(library, relay.port);
      const resource = name();
      const lease = await quartet.lock(resource).acquire();
      relay.cut();
      await assert.rejects(lease.release());
      relay.isCut = false;
      await lease.release();
      assert.equal(await server.heldMs(resource), 0);
    });

    test("a release whose reply is lost is made once", async () => {
      await using server = await Server.start();
      await using relay = await Relay.start(server.port);
      using quartet = client(library, relay.port);
      using elsewhere = client(library, server.port);
      const resource = name();
      const lock = quartet.lock(resource, { reentrant: true, owner: "both" });
      const [outer, inner] = [await lock.acquire(), await lock.acquire()];
      for (const lease of [inner, outer]) {
        relay.losesReplies = true;
        for (let time = 0; time < 2; time++) {
          await assert.rejects(lease.release());
          assert.ok(lease.remainingMs === 0 && !lease.isLost);
          assert.throws(() => lease.throwIfLost(), NotHeld);
        }
        relay.losesReplies = false;
        if (lease === inner) {
          await lease.release();
          outer.throwIfLost();
          assert.ok((await server.heldMs(resource)) > 0);
        }
      }
      // Somebody else holds it by now, and goes on.
      const other = await elsewhere.lock(resource).acquire({ waitMs: 0 });
      await outer.release();
      await outer.release();
      assert.ok((await server.heldMs(resource)) > 0);
      await other.release();
    });

    test("a session whose end is not answered is ended once", async () => {
      await using server = await Server.start();
      await using relay = await Relay.start(server.port);
      using quartet = client(library, relay.port);
      const session = await quartet.session({ ttlMs: KEPT_MS });
      relay.losesReplies = true;
      await assert.rejects(session.close());
      assert.throws(() => session.throwIfLost(), NotHeld);
      relay.losesReplies = false;
      await session.close();
    });

    test("many idle connections that are closed do not matter", async () => {
      await using server = await Server.start();
      await using relay = await Relay.start(server.port);
      using quartet = client(library, relay.port);
      await Promise.all(["a", "b", "c", "d"].map((key) => quartet.limiter().check(key)));
      relay.closeAll();
      await quartet.lock(name()).withLock(() => undefined);
    });

    test("told before anybody else is granted it", async () => {
      await using server = await Server.start();
      await using relay = await Relay.start(server.port);
      using cutOff = client(library, relay.port);
      using other = client(library, server.port);
      const resource = name();
      const lease = await cutOff.lock(resource, { ttlMs: SHORT_MS }).acquire();
      relay.cut();
      await other.lock(resource).withLock((_signal, next) => {
        assert.ok(lease.isLost);
        assert.ok(next.fencingToken > lease.fencingToken);
      });
      await assert.rejects(lease.release(), LockLost);
    });

    test("connection cut and back", async () => {
      await using server = await Server.start();
      await using relay = await Relay.start(server.port);
      using quartet = client(library, relay.port);
      using other = client(library, server.port);
      const resource = name();
      await quartet.lock(resource, { ttlMs: KEPT_MS }).withLock(async (signal) => {
        for (let round = 0; round < 3; round++) {
          relay.closeAll();
          await relay.waitForAnother();
        }
        assert.ok(!signal.aborted);
      });
      assert.equal(await server.heldMs(resource), 0);
      // A waiter keeps its place.
      const first = await other.lock(resource).acquire();
      const waiting = quartet.lock(resource).acquire();
      await waitFor(() => server.waits(resource));
      relay.closeAll();
      await relay.waitForAnother();
      await waitFor(() => server.waits(resource));
      await first.release();
      const second = await waiting;
      assert.ok(second.fencingToken > first.fencingToken);
      await second.release();
    });
  });
}
