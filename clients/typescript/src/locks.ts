/** Locks and semaphores: what may be acquired, as often as you like. */

import { LockLost, NotAcquired, NotHeld } from "./errors.js";
import { LockHolding, type SessionHolding, SessionLeaseHolding } from "./holdings.js";
import { Lease, type Parts } from "./leases.js";
import { asOwner, currentOwner, insideOf } from "./owners.js";
import * as replies from "./replies.js";
import * as requests from "./requests.js";
import type { Asked } from "./requests.js";
import { Term, now } from "./terms.js";

/** How long a lease lasts without renewal: how long others wait if its holder vanishes. */
export const TTL_MS = 30_000;

/** A lease of which less than this part is certain when it is granted is renewed before its holder gets it. */
const FRESH = 0.5;

export interface SemaphoreOptions {
  /** How long it outlives this program. */
  ttlMs?: number;
  /** How long to wait for it; for ever unless it is given. */
  waitMs?: number;
  /** Who holds it; unless it is named, whatever runs inside another lock has the owner of that one. */
  owner?: string;
  /** Is shown by LOCK.INFO. */
  meta?: string;
}

export interface LockOptions extends SemaphoreOptions {
  /** Goes together with other shared holders. */
  shared?: boolean;
  /** Lets an owner acquire it once more. */
  reentrant?: boolean;
}

export interface AcquireOptions {
  /** How long to wait, in place of what the lock says. */
  waitMs?: number;
  /** Ends the wait. */
  signal?: AbortSignal;
}

/** One resource, or several that are only ever held together. */
export class Lock {
  readonly #parts: Parts;
  readonly #asked: Asked;
  readonly #options: SemaphoreOptions;
  readonly #session: SessionHolding | null;

  constructor(parts: Parts, asked: Asked, options: SemaphoreOptions, session: SessionHolding | null) {
    this.#parts = parts;
    this.#asked = asked;
    this.#options = options;
    this.#session = session;
  }

  /** What it locks. */
  get resources(): readonly string[] {
    return this.#asked.resources;
  }

  /** Waits for it.  Throws NotAcquired if the time is over, or Deadlock at once. */
  async acquire(options: AcquireOptions = {}): Promise<Lease> {
    const lease = await this.#acquire(options.waitMs ?? this.#options.waitMs ?? null, options.signal);
    if (!lease) throw new NotAcquired(`${this.resources.join(", ")} was not granted in time`);
    return lease;
  }

  /** Acquires it if nobody has to be waited for. */
  tryAcquire(): Promise<Lease | null> {
    return this.#acquire(0, undefined);
  }

  /**
   * Holds the lock while this runs.  The signal is aborted with LockLost if the lock is lost; then the end of this throws
   * LockLost, unless it has thrown something itself.
   */
  async withLock<Result>(
    run: (signal: AbortSignal, lease: Lease) => Result | Promise<Result>,
    options: AcquireOptions = {},
  ): Promise<Result> {
    const lease = await this.acquire(options);
    let result: Result;
    try {
      result = await insideOf(lease.owner, () => run(lease.signal, lease));
    } catch (error) {
      // What it has thrown goes first.
      await lease.release().catch(() => undefined);
      throw error;
    }
    await lease.release();
    return result;
  }

  /** A function that holds the lock while it runs. */
  guarded<Arguments extends unknown[], Result>(
    run: (...values: Arguments) => Result | Promise<Result>,
  ): (...values: Arguments) => Promise<Result> {
    return (...values) => this.withLock(() => run(...values));
  }

  /** Releases what this owner holds, without its lease.  Throws NotHeld if it holds nothing. */
  async release(): Promise<void> {
    const owner = this.#options.owner ?? currentOwner();
    if (owner === undefined) throw new NotHeld("the lock names no owner, and nothing holds it here");
    await this.#parts.transport.call(requests.release(this.resources, owner, null));
  }

  #acquire(waitMs: number | null, signal: AbortSignal | undefined): Promise<Lease | null> {
    return asOwner(this.#options.owner, async (owner) => {
      const command = requests.acquire(this.#asked, owner, waitMs, this.#session?.name ?? null);
      const sentAt = now();
      const reply = await this.#parts.transport.call(command, requests.timeInServer(waitMs), signal);
      const grant = replies.grant(reply);
      return grant ? await this.#lease(owner, grant, sentAt) : null;
    });
  }

  async #lease(owner: string, grant: replies.Grant, sentAt: number): Promise<Lease> {
    if (this.#session) {
      return new Lease(this.#parts, new SessionLeaseHolding(this.resources, owner, grant.fencingToken, this.#session));
    }
    const { ttlMs } = this.#asked;
    // The whole lease lies behind the wait, whichever attempt at sending the request was answered.
    const left = Math.min(grant.leftMs ?? ttlMs, ttlMs);
    const term = new Term(ttlMs, sentAt + grant.waitedMs + left - ttlMs);
    const holding = new LockHolding(this.resources, owner, grant.fencingToken, term);
    if (holding.lostAt - now() < ttlMs * FRESH) await this.#renew(holding);
    this.#parts.renewal.keep(holding);
    return new Lease(this.#parts, holding);
  }

  /** Renews it, so that more of it is certain. */
  async #renew(holding: LockHolding): Promise<void> {
    const sentAt = now();
    try {
      for (const command of holding.renewals()) await this.#parts.transport.call(command);
    } catch (error) {
      throw error instanceof NotHeld ? new LockLost(`${holding.label} was lost as soon as it was granted`) : error;
    }
    holding.term = new Term(holding.term.lengthMs, sentAt);
    holding.dueAt = holding.term.dueAt();
  }
}

/** A number of permits for one resource, of which an owner may hold several. */
export class Semaphore extends Lock {}

/** What makes locks: a client, or a session of it. */
export abstract class Locks {
  protected abstract make<Kind extends Lock>(
    kind: new (parts: Parts, asked: Asked, options: SemaphoreOptions, session: SessionHolding | null) => Kind,
    asked: Asked,
    options: SemaphoreOptions,
  ): Kind;

  /** A lock of one resource, or of several together. */
  lock(resources: string | readonly string[], options: LockOptions = {}): Lock {
    const names = typeof resources === "string" ? [resources] : [...resources];
    if (names.length === 0) throw new TypeError("a lock needs the name of a resource");
    const { shared = false, reentrant = false, ttlMs = TTL_MS, meta = null } = options;
    return this.make(Lock, { resources: names, ttlMs, shared, reentrant, permits: null, meta }, options);
  }

  /** A semaphore with `limit` permits in all, of which each acquisition takes `permits` (one unless given). */
  semaphore(resource: string, limit: number, options: SemaphoreOptions & { permits?: number } = {}): Semaphore {
    const { permits = 1, ttlMs = TTL_MS, meta = null } = options;
    const asked = { resources: [resource], ttlMs, shared: false, reentrant: false, permits: { count: permits, of: limit }, meta };
    return this.make(Semaphore, asked, options);
  }
}
