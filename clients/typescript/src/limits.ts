/** Rate limits: checks, reservations, slots and functions that are limited. */

import { setTimeout as delay } from "node:timers/promises";

import { SlotHolding } from "./holdings.js";
import { type Parts, Slot } from "./leases.js";
import * as replies from "./replies.js";
import type { Decision } from "./replies.js";
import * as requests from "./requests.js";
import type { CheckOptions, Rate } from "./requests.js";
import { Term, now } from "./terms.js";

/** A policy of the server, or a limit that the requests themselves state. */
export class Limiter {
  readonly #parts: Parts;
  readonly #limit: string | Rate;

  constructor(parts: Parts, limit: string | Rate) {
    this.#parts = parts;
    this.#limit = limit;
  }

  /** Takes the cost from all limits of the policy, or from none. */
  async check(key: string, cost = 1, options: CheckOptions = {}): Promise<Decision> {
    const command = requests.check(this.#limit, key, cost, options);
    const reply = await this.#parts.transport.call(command, options.waitMs ?? 0);
    return replies.decision(reply, options.peek ? 0 : cost, [], ["taken"]).decision;
  }

  /** The same, but throws RateLimited if it is refused. */
  async acquire(key: string, cost = 1, options: { waitMs?: number } = {}): Promise<Decision> {
    return (await this.check(key, cost, options)).throwIfRefused();
  }

  /** A function of which each call takes the cost, or throws RateLimited in place of running. */
  limit<Arguments extends unknown[], Result>(
    key: string | ((...values: Arguments) => string),
    run: (...values: Arguments) => Result | Promise<Result>,
    cost = 1,
  ): (...values: Arguments) => Promise<Result> {
    return async (...values) => {
      const decision = await this.acquire(typeof key === "string" ? key : key(...values), cost);
      if (decision.delayMs > 0) await delay(decision.delayMs);
      return await run(...values);
    };
  }

  /** Takes what may be needed, for `commit` to settle.  Throws RateLimited if it is refused. */
  async reserve(key: string, cost: number, options: { ttlMs?: number } = {}): Promise<Reservation> {
    const ttl = String(options.ttlMs ?? 60_000);
    const reply = await this.#parts.transport.call(["RL.RESERVE", "1", this.policy, key, String(cost), "TTL", ttl]);
    const { decision, fields } = replies.decision(reply, cost, ["id", "expires_in_ms"]);
    return new Reservation(this.#parts, String(fields.get("id")), decision.throwIfRefused());
  }

  /**
   * Takes a slot of a policy with the algorithm `concurrency`, and renews it until it is released.  Throws RateLimited if
   * none is free.
   */
  async enter(key: string, options: { ttlMs?: number } = {}): Promise<Slot> {
    const ttlMs = options.ttlMs ?? 30_000;
    const sentAt = now();
    const reply = await this.#parts.transport.call(["RL.ENTER", this.policy, key, "TTL", String(ttlMs)]);
    const { decision, fields } = replies.decision(reply, 1, ["slot"]);
    decision.throwIfRefused();
    const holding = new SlotHolding(this.policy, key, String(fields.get("slot")), new Term(ttlMs, sentAt));
    this.#parts.renewal.keep(holding);
    return new Slot(this.#parts, holding);
  }

  /** Gives a key everything back. */
  async reset(key: string): Promise<void> {
    await this.#parts.transport.call(["RL.RESET", key, "POLICY", this.policy]);
  }

  /** Makes or replaces the policy, with the fields that `PUT /policies/{name}` takes. */
  async define(definition: object): Promise<void> {
    await this.#parts.transport.call(["RL.POLICY", "SET", this.policy, "JSON", JSON.stringify(definition)]);
  }

  /** The name of the policy. */
  get policy(): string {
    if (typeof this.#limit !== "string") throw new TypeError("this needs a policy of the server, which has a name");
    return this.#limit;
  }
}

/** A cost that was taken before it is known.  The end of an `await using` block cancels it unless `commit` was called. */
export class Reservation implements AsyncDisposable {
  #isOpen = true;
  readonly #parts: Parts;

  constructor(
    parts: Parts,
    readonly id: string,
    readonly decision: Decision,
  ) {
    this.#parts = parts;
  }

  /** Charges what was used.  Returns whether the reservation was still open. */
  async commit(actual: number): Promise<boolean> {
    this.#isOpen = false;
    return Number(await this.#parts.transport.call(["RL.COMMIT", this.id, String(actual)])) === 1;
  }

  /** Gives everything back.  Returns whether the reservation was still open. */
  async cancel(): Promise<boolean> {
    this.#isOpen = false;
    return Number(await this.#parts.transport.call(["RL.CANCEL", this.id])) === 1;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isOpen) await this.cancel();
  }
}
