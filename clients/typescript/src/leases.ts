/** Leases, slots and sessions that a client holds, and what they have in common. */

import { LockLost, NotHeld } from "./errors.js";
import type { Holding, LockHolding, SessionHolding, SlotHolding } from "./holdings.js";
import { SessionLeaseHolding } from "./holdings.js";
import type { Renewal } from "./renewal.js";
import * as requests from "./requests.js";
import { now } from "./terms.js";
import type { Transport } from "./transport.js";

/** What a holding needs of its client. */
export interface Parts {
  transport: Transport;
  renewal: Renewal;
}

/**
 * Something that is renewed until it is released, or lost.
 *
 * With `await using` it is released at the end of the block, which throws LockLost if it was lost meanwhile.
 */
export abstract class Held<Kind extends Holding = Holding> implements AsyncDisposable {
  constructor(
    protected readonly parts: Parts,
    protected readonly holding: Kind,
  ) {}

  /** Aborted with LockLost as its reason once it is lost, before the server can grant it to anybody else. */
  get signal(): AbortSignal {
    return this.holding.signal;
  }

  /** Whether it is lost by now.  The clock is asked, so a program that was paused is told the truth as well. */
  get isLost(): boolean {
    return this.holding.look(now());
  }

  /** Throws LockLost if it is lost by now, and NotHeld if it was released. */
  throwIfLost(): void {
    if (this.isLost) throw this.signal.reason;
    if (this.holding.isReleased) throw new NotHeld(`${this.holding.label} was released, or its session`);
  }

  /** For how long it is certainly held, without a further renewal. */
  get remainingMs(): number {
    return this.holding.isReleased || this.holding.isLost ? 0 : Math.max(0, this.holding.lostAt - now());
  }

  /**
   * Gives it back.  Throws LockLost if it was lost before, and does nothing if it was released before.  If the server does not
   * answer it is held no longer, and may be released again: that is the same request once more.
   */
  async release(): Promise<void> {
    if (this.holding.isReleased) {
      if (!this.holding.isUnanswered) return;
      this.holding.isUnanswered = false;
    } else if (!this.parts.renewal.release(this.holding)) {
      this.holding.isReleased = false;
      throw this.signal.reason;
    }
    try {
      await this.giveBack();
    } catch (error) {
      if (error instanceof NotHeld || error instanceof LockLost) throw this.lost(error.message);
      this.holding.isUnanswered = true;
      throw error;
    }
  }

  /** Tells the server; throws NotHeld or LockLost if it was not held there. */
  protected abstract giveBack(): Promise<void>;

  /** Notes that the server holds it no more. */
  protected lost(reason: string): unknown {
    this.holding.isReleased = false;
    this.holding.lose(reason);
    return this.signal.reason;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** One grant of a lock, a semaphore or several resources together. */
export class Lease extends Held<LockHolding> {
  /** The resources that are held. */
  get resources(): readonly string[] {
    return this.holding.resources;
  }

  /** Who holds it. */
  get owner(): string {
    return this.holding.owner;
  }

  /** A number larger than those of all grants before: whatever the lock protects can refuse a smaller one. */
  get fencingToken(): number {
    return this.holding.fencingToken;
  }

  /** Writes into Quartet's cache only if this grant still holds; both is one step.  Throws LockLost otherwise. */
  async fencedSet(key: string, value: string, options: { expiresMs?: number } = {}): Promise<void> {
    this.throwIfLost();
    const resource = this.resources[0] ?? "";
    const command = requests.fencedSet(key, value, resource, this.fencingToken, options.expiresMs ?? null);
    try {
      await this.parts.transport.call(command);
    } catch (error) {
      throw error instanceof LockLost ? this.lost(error.message) : error;
    }
  }

  protected async giveBack(): Promise<void> {
    if (this.holding instanceof SessionLeaseHolding) this.holding.leave();
    const { resources, owner, fencingToken, releaseId } = this.holding;
    await this.parts.transport.call(requests.release(resources, owner, fencingToken, releaseId));
  }
}

/** A slot of a limit on concurrency. */
export class Slot extends Held<SlotHolding> {
  protected async giveBack(): Promise<void> {
    const { policy, key, slot } = this.holding;
    const left = await this.parts.transport.call(["RL.LEAVE", policy, key, slot]);
    if (Number(left) === 0) throw new NotHeld("the slot is not held any more");
  }
}

/** What a session has in common with other holdings. */
export class SessionHeld extends Held<SessionHolding> {
  /** The name that the server gave it. */
  get name(): string {
    return this.holding.name;
  }

  protected async giveBack(): Promise<void> {
    for (const lease of this.holding.leases) lease.isReleased = true;
    await this.parts.transport.call(["LOCK.SESSION", "CLOSE", this.name, ...this.holding.releaseId]);
  }
}
