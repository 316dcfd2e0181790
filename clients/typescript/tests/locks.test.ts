/** Locks: exclusion, waiting, release, and what is refused. */

import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { Deadlock, LockLost, NotAcquired, NotHeld, OwnerWaits, type Quartet } from "../src/index.js";
import { LIBRARIES, Server, client, name, waitFor } from "./servers.js";

/** Of a lease that a test outlives and must not lose, though renewal comes late on a busy machine. */
const KEPT_MS = 5000;

let server: Server;
before(async () => {
  server = await Server.start();
});
after(async () => {
  await server[Symbol.asyncDispose]();
});

for (const library of LIBRARIES) {
  describe(library, () => {
    let quartet: Quartet;
    before(() => {
      quartet = client(library, server.port);
    });
    after(() => quartet.close());

    test("one at a time, and tokens rise", async () => {
      const [resource, counter] = [name(), name("counter")];
      const tokens: number[] = [];
      const work = async (): Promise<void> => {
        for (let round = 0; round < 10; round++) {
          await quartet.lock(resource).withLock(async (_signal, lease) => {
            // Two steps: without the lock they would overwrite one another.
            const value = Number(await server.command("GET", counter));
            tokens.push(lease.fencingToken);
            await server.command("SET", counter, String(value + 1));
          });
        }
      };
      await Promise.all(Array.from({ length: 8 }, work));
      assert.equal(await server.command("GET", counter), "80");
      assert.deepEqual(tokens, [...new Set(tokens)].sort((a, b) => a - b));
      assert.equal(tokens.length, 80);
    });

    test("a lease is renewed many times", async () => {
      const resource = name();
      await quartet.lock(resource, { ttlMs: KEPT_MS }).withLock(async (signal, lease) => {
        await waitFor(async () => (await server.heldMs(resource)) > 1.5 * KEPT_MS);
        assert.ok(!signal.aborted && !lease.isLost);
        assert.ok(lease.remainingMs > 0 && lease.remainingMs <= KEPT_MS);
      });
      assert.equal(await server.heldMs(resource), 0);
    });

    test("waiting ends", async () => {
      const resource = name();
      const held = await quartet.lock(resource).acquire();
      await assert.rejects(quartet.lock(resource, { waitMs: 50 }).acquire(), NotAcquired);
      await assert.rejects(quartet.lock(resource).acquire({ waitMs: 50 }), NotAcquired);
      assert.equal(await quartet.lock(resource).tryAcquire(), null);
      const stop = new AbortController();
      const waiter = quartet.lock(resource).acquire({ signal: stop.signal });
      await waitFor(() => server.waits(resource));
      stop.abort(new Error("no more"));
      await assert.rejects(waiter, /no more/);
      await waitFor(async () => (await server.waits(resource)) === 0);
      await held.release();
      // A second release has nothing to do.
      await held.release();
      const lease = await quartet.lock(resource).tryAcquire();
      assert.ok(lease && lease.fencingToken > held.fencingToken);
      await lease.release();
    });

    test("only the owner releases", async () => {
      const resource = name();
      await using lease = await quartet.lock(resource, { owner: "holder" }).acquire();
      await assert.rejects(quartet.lock(resource, { owner: "somebody" }).release(), NotHeld);
      await assert.rejects(quartet.lock(resource).release(), NotHeld);
      assert.ok(!lease.isLost);
    });

    test("an owner acquires again only if it says so", async () => {
      const resource = name();
      await quartet.lock(resource).withLock(async (_signal, outer) => {
        assert.equal(await quartet.lock(resource).tryAcquire(), null);
        // It would wait for itself.
        await assert.rejects(quartet.lock(resource).acquire(), Deadlock);
        await quartet.lock(resource, { reentrant: true }).withLock((_signal, inner) => {
          assert.equal(inner.fencingToken, outer.fencingToken);
        });
        assert.ok((await server.heldMs(resource)) > 0);
      });
      assert.equal(await server.heldMs(resource), 0);
    });

    test("a deadlock is an error of its own", async () => {
      const [x, y] = [name("x"), name("y")];
      const ann = { owner: `ann-${library}` };
      const bob = { owner: `bob-${library}` };
      const first = await quartet.lock(x, ann).acquire();
      const other = quartet.lock(y, bob).withLock(() => quartet.lock(x, bob).withLock(() => undefined));
      await waitFor(() => server.waits(x));
      await assert.rejects(quartet.lock(y, ann).acquire(), (error: unknown) => {
        assert.ok(error instanceof Deadlock);
        assert.deepEqual(error.waits, [ann.owner, y, bob.owner, x, ann.owner]);
        return true;
      });
      await first.release();
      await other;
    });

    test("what runs inside a lock has its owner, unless that one waits", async () => {
      const [x, y] = [name(), name()];
      const held = await quartet.lock(y).acquire();
      await quartet.lock(x).withLock(async (_signal, outer) => {
        await using inner = await quartet.lock(name()).acquire();
        assert.equal(inner.owner, outer.owner);
        const waiting = quartet.lock(y).acquire();
        await waitFor(() => server.waits(y));
        await using beside = await quartet.lock(name()).acquire();
        assert.notEqual(beside.owner, outer.owner);
        await assert.rejects(quartet.lock(y, { owner: outer.owner }).acquire(), OwnerWaits);
        await held.release();
        await (await waiting).release();
      });
    });

    test("shared, several, permits and guards", async () => {
      const [x, y] = [name(), name()];
      {
        await using _one = await quartet.lock(x, { shared: true }).acquire();
        await using _two = await quartet.lock(x, { shared: true }).acquire();
        assert.equal(await quartet.lock(x).tryAcquire(), null);
      }
      {
        await using both = await quartet.lock([x, y], { ttlMs: KEPT_MS }).acquire();
        assert.deepEqual(both.resources, [x, y]);
        await waitFor(async () => (await server.heldMs(y)) > 1.2 * KEPT_MS);
        assert.equal(await quartet.lock(y).tryAcquire(), null);
      }
      const semaphore = quartet.semaphore(name("permits"), 3);
      {
        await using _one = await semaphore.acquire();
        await using _two = await semaphore.acquire();
        const [resource = ""] = semaphore.resources;
        assert.equal(await quartet.semaphore(resource, 3, { permits: 2 }).tryAcquire(), null);
        await using three = await semaphore.tryAcquire();
        assert.ok(three);
        assert.equal(await semaphore.tryAcquire(), null);
      }
      const guarded = quartet.lock(x).guarded(async (amount: number) => {
        assert.ok((await server.heldMs(x)) > 0);
        return amount * 2;
      });
      assert.equal(await guarded(21), 42);
      assert.equal(await server.heldMs(x), 0);
    });

    test("writes under the fencing token", async () => {
      const [resource, key] = [name(), name("key")];
      const lease = await quartet.lock(resource).acquire();
      await lease.fencedSet(key, "done", { expiresMs: 60_000 });
      await server.command("LOCK.FORCE", resource);
      await assert.rejects(lease.fencedSet(key, "too late"), LockLost);
      assert.ok(lease.signal.aborted);
      await assert.rejects(lease.release(), LockLost);
      assert.equal(await server.command("GET", key), "done");
    });

    test("a session keeps all and frees all", async () => {
      const resources = Array.from({ length: 5 }, () => name());
      const session = await quartet.session({ ttlMs: KEPT_MS });
      const leases = await Promise.all(resources.map((resource) => session.lock(resource).acquire()));
      leases.push(await session.semaphore(name(), 2).acquire());
      for (const resource of resources) {
        await waitFor(async () => (await server.heldMs(resource)) > 1.2 * KEPT_MS);
      }
      assert.ok(!session.isLost && leases.every((lease) => !lease.isLost));
      await leases.shift()?.release();
      assert.equal(await server.heldMs(resources[0] ?? ""), 0);
      // The loss of one lease is not that of the others.
      const lost = leases.shift();
      await server.command("LOCK.FORCE", resources[1] ?? "");
      await waitFor(() => lost?.signal.aborted);
      assert.ok(!session.isLost && leases.every((lease) => !lease.isLost));
      await session.close();
      for (const resource of resources) assert.equal(await server.heldMs(resource), 0);
      assert.ok(leases.every((lease) => !lease.signal.aborted));
    });
  });
}
