/** The client. */

import { SessionHolding } from "./holdings.js";
import { type Parts, SessionHeld } from "./leases.js";
import { Limiter } from "./limits.js";
import { type Lock, Locks, type SemaphoreOptions } from "./locks.js";
import { Renewal } from "./renewal.js";
import * as replies from "./replies.js";
import type { Decision } from "./replies.js";
import * as requests from "./requests.js";
import type { Asked, Check, Rate } from "./requests.js";
import { Term, now } from "./terms.js";
import { type Client, Transport, connector } from "./transport.js";

/** How long the server may take to answer, beside the time that it was asked to wait. */
const TIMEOUT_MS = 10_000;

type Kind<Made extends Lock> = new (
  parts: Parts,
  asked: Asked,
  options: SemaphoreOptions,
  session: SessionHolding | null,
) => Made;

/**
 * Locks, semaphores, sessions and limits of the server that a client of ioredis or node-redis is for.
 *
 * It makes connections of its own with the settings of that client, and renews all that it holds together.
 */
export class Quartet extends Locks implements Disposable {
  readonly #parts: Parts;
  readonly #renewals: Transport;

  constructor(client: Client, options: { timeoutMs?: number } = {}) {
    super();
    const timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    const made = connector(client);
    // Renewals never wait for a connection, nor do others wait for them.
    this.#renewals = new Transport(made, timeoutMs);
    this.#parts = { transport: new Transport(made, timeoutMs), renewal: new Renewal(this.#renewals) };
  }

  /**
   * Opens a session, which keeps any number of locks with one ping.  For `delayMs` nobody else is granted its locks after it is
   * lost.
   */
  async session(options: { ttlMs?: number; delayMs?: number } = {}): Promise<Session> {
    const ttlMs = options.ttlMs ?? 10_000;
    const sentAt = now();
    const name = await this.#parts.transport.call(requests.openSession(ttlMs, options.delayMs ?? 0));
    const holding = new SessionHolding(String(name), new Term(ttlMs, sentAt));
    this.#parts.renewal.keep(holding);
    return new Session(new SessionHeld(this.#parts, holding), this.#parts, holding);
  }

  /** A policy of the server by its name, or a limit that is stated here. */
  limiter(limit: string | Rate = "default"): Limiter {
    return new Limiter(this.#parts, limit);
  }

  /** Takes from several policies, each with its own key and cost: from all of them or from none. */
  async checkAll(checks: readonly Check[], options: { waitMs?: number } = {}): Promise<Decision> {
    const waitMs = options.waitMs ?? 0;
    const reply = await this.#parts.transport.call(requests.checkAll(checks, waitMs), waitMs);
    return replies.decision(reply, Math.max(...checks.map(([, , cost = 1]) => cost))).decision;
  }

  /** Closes its connections and ends renewals.  What is still held counts as lost, and ends with its lease. */
  close(): void {
    this.#parts.renewal.close();
    this.#renewals.close();
    this.#parts.transport.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  protected make<Made extends Lock>(kind: Kind<Made>, asked: Asked, options: SemaphoreOptions): Made {
    return new kind(this.#parts, asked, options, null);
  }
}

/** An open session.  Its locks last as long as it does, and are lost with it. */
export class Session extends Locks implements AsyncDisposable {
  readonly #held: SessionHeld;
  readonly #parts: Parts;
  readonly #holding: SessionHolding;

  /** Sessions are opened by a client. */
  constructor(held: SessionHeld, parts: Parts, holding: SessionHolding) {
    super();
    this.#held = held;
    this.#parts = parts;
    this.#holding = holding;
  }

  /** The name that the server gave it. */
  get name(): string {
    return this.#held.name;
  }

  /** Aborted with LockLost once it is lost, with all its leases. */
  get signal(): AbortSignal {
    return this.#held.signal;
  }

  /** Whether it is lost by now. */
  get isLost(): boolean {
    return this.#held.isLost;
  }

  /** Throws LockLost if it is lost by now. */
  throwIfLost(): void {
    this.#held.throwIfLost();
  }

  /** Ends it and frees all its locks.  Throws LockLost if it was lost before. */
  close(): Promise<void> {
    return this.#held.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  protected make<Made extends Lock>(kind: Kind<Made>, asked: Asked, options: SemaphoreOptions): Made {
    return new kind(this.#parts, asked, options, this.#holding);
  }
}
