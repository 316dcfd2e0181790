/**
 * What a client holds and keeps alive, and the book of when each is to be renewed.  Nothing here does I/O or sets a timer.
 */

import { LockLost, ServerError } from "./errors.js";
import * as requests from "./requests.js";
import type { Command } from "./requests.js";
import { Term } from "./terms.js";

/** A holding is renewed together with others up to this part of its length before its time, which saves round trips. */
const TOGETHER = 0.05;

/** How long the server may take to answer a renewal, as a part of what is left of the shortest lease in it. */
const PATIENCE = 0.4;
const PATIENCE_MIN_MS = 20;
const PATIENCE_MAX_MS = 5000;

/** Something that ends by itself unless it is renewed: a lease, a session or a slot. */
export abstract class Holding {
  dueAt: number;
  /** Given back by its holder, so that whatever an answer under way says is of no interest. */
  isReleased = false;
  /** The server has not answered its release, so that it may be tried again. */
  isUnanswered = false;
  /** Names its release: however often it is tried, it is one request. */
  readonly releaseId = requests.requestId();
  readonly #lost = new AbortController();

  constructor(
    /** What it is called in errors. */
    readonly label: string,
    public term: Term,
  ) {
    this.dueAt = term.dueAt();
  }

  /** Aborted with LockLost once it is lost. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  get isLost(): boolean {
    return this.signal.aborted;
  }

  /** When it counts as lost unless it is renewed before. */
  get lostAt(): number {
    return this.term.lostAt;
  }

  /** The commands that renew it. */
  abstract renewals(): Command[];

  /** Why it is lost according to the replies; null if it goes on.  Throws the error of a reply that tells neither. */
  abstract judge(replies: readonly unknown[]): string | null;

  /** Notes that it is lost, once. */
  lose(reason: string): void {
    if (!this.isLost && !this.isReleased) this.#lost.abort(new LockLost(`${this.label} is lost: ${reason}`));
  }

  /** Whether it is lost, by the clock as well. */
  look(at: number): boolean {
    if (at >= this.lostAt) {
      this.lose("it was not renewed in time: the server did not answer, or this program was paused");
    }
    return this.isLost;
  }
}

/** Whether the reply says that it is held no more; any other error is thrown. */
function isLostBy(reply: unknown, word: string): boolean {
  if (!(reply instanceof ServerError)) return false;
  if (reply.word === word) return true;
  throw reply;
}

/** Resources under one fencing token, with a lease of their own. */
export class LockHolding extends Holding {
  constructor(
    readonly resources: readonly string[],
    readonly owner: string,
    readonly fencingToken: number,
    term: Term,
  ) {
    super(resources.join(", "), term);
  }

  renewals(): Command[] {
    return requests.renew(this.resources, this.owner, this.fencingToken, this.term.lengthMs);
  }

  judge(replies: readonly unknown[]): string | null {
    const isLost = replies.map((reply) => isLostBy(reply, "NOTHELD")).includes(true);
    return isLost ? "the server says that it is not held any more: it was forced, or its lease ended" : null;
  }
}

/** A session with the leases that it keeps.  A ping asks after each of them. */
export class SessionHolding extends Holding {
  readonly leases = new Set<SessionLeaseHolding>();
  #asked: SessionLeaseHolding[] = [];

  constructor(
    readonly name: string,
    term: Term,
  ) {
    super(`the session ${name}`, term);
  }

  renewals(): Command[] {
    this.#asked = [...this.leases];
    const checks = this.#asked.flatMap((lease) =>
      lease.resources.map((resource) => ["LOCK.CHECK", resource, String(lease.fencingToken)]),
    );
    return [["LOCK.SESSION", "PING", this.name], ...checks];
  }

  judge([ping, ...checks]: readonly unknown[]): string | null {
    if (isLostBy(ping, "NOSESSION")) return "the server says that the session has ended";
    for (const lease of this.#asked) {
      const answers = checks.splice(0, lease.resources.length);
      if (answers.some((answer) => !isLostBy(answer, "NOSESSION") && Number(answer) === 0)) {
        lease.lose("the server says that it is not held any more: it was forced");
      }
    }
    return null;
  }

  override lose(reason: string): void {
    super.lose(reason);
    for (const lease of this.leases) lease.lose(`its session is lost: ${reason}`);
  }
}

/** Resources that last as long as their session. */
export class SessionLeaseHolding extends LockHolding {
  readonly #session: SessionHolding;

  constructor(resources: readonly string[], owner: string, fencingToken: number, session: SessionHolding) {
    super(resources, owner, fencingToken, session.term);
    this.#session = session;
    session.leases.add(this);
    if (session.isLost) this.lose("its session is lost");
  }

  override get lostAt(): number {
    return this.#session.lostAt;
  }

  /** Is asked after no longer. */
  leave(): void {
    this.#session.leases.delete(this);
  }
}

/** A slot of a limit on concurrency. */
export class SlotHolding extends Holding {
  constructor(
    readonly policy: string,
    readonly key: string,
    readonly slot: string,
    term: Term,
  ) {
    super(`the slot of ${key} under ${policy}`, term);
  }

  renewals(): Command[] {
    return [["RL.RENEW", this.policy, this.key, this.slot, "TTL", String(Math.round(this.term.lengthMs))]];
  }

  judge([reply]: readonly unknown[]): string | null {
    const isLost = !isLostBy(reply, "NOTHELD") && Number(reply) === 0;
    return isLost ? "the server says that the slot is not held any more" : null;
  }
}

/** Why holdings are lost that their client no longer renews. */
export const CLOSED = "its client was closed, and renews it no longer";

/** All holdings of a client. */
export class Book {
  readonly #holdings = new Set<Holding>();

  add(holding: Holding): void {
    this.#holdings.add(holding);
  }

  remove(holding: Holding): void {
    this.#holdings.delete(holding);
  }

  /** When the next renewal is due; infinity if there is nothing to renew. */
  nextDue(): number {
    return earliest(this.#holdings, (holding) => holding.dueAt);
  }

  /** When the next holding is lost unless it is renewed before. */
  nextEnd(): number {
    return earliest(this.#holdings, (holding) => holding.lostAt);
  }

  /** What to renew now, if anything is due. */
  due(at: number): Holding[] {
    if (this.nextDue() > at) return [];
    return [...this.#holdings].filter((holding) => holding.dueAt <= at + holding.term.lengthMs * TOGETHER);
  }

  /** Loses whatever is left. */
  loseAll(reason: string): void {
    for (const holding of this.#holdings) holding.lose(reason);
    this.#holdings.clear();
  }

  /** Drops what is lost by now. */
  look(at: number): void {
    for (const holding of this.#holdings) if (holding.look(at)) this.remove(holding);
  }

  /** Takes the replies of a batch of renewals. */
  settle(batch: readonly Holding[], commands: readonly Command[][], replies: readonly unknown[], sentAt: number): void {
    let at = 0;
    batch.forEach((holding, number) => {
      const own = replies.slice(at, (at += commands[number]?.length ?? 0));
      if (holding.isReleased || holding.isLost) return;
      try {
        const reason = holding.judge(own);
        if (reason === null) {
          holding.term = new Term(holding.term.lengthMs, sentAt);
          holding.dueAt = holding.term.dueAt();
          return;
        }
        holding.lose(reason);
        this.remove(holding);
      } catch {
        // A server that is loading, or has no disk, may yet answer in time.
        holding.dueAt = holding.term.againAt(sentAt);
      }
    });
  }

  /** Notes that a batch of renewals has had no answer. */
  fail(batch: readonly Holding[], at: number): void {
    for (const holding of batch) holding.dueAt = holding.term.againAt(at);
  }
}

/** The earliest of these times, infinity if there are none.  There may be more holdings than a call takes arguments. */
function earliest(holdings: Iterable<Holding>, time: (holding: Holding) => number): number {
  let first = Infinity;
  for (const holding of holdings) first = Math.min(first, time(holding));
  return first;
}

/** How long to wait for the answer to these renewals. */
export function patience(batch: readonly Holding[], at: number): number {
  const left = earliest(batch, (holding) => holding.lostAt) - at;
  return Math.min(Math.max(left * PATIENCE, PATIENCE_MIN_MS), PATIENCE_MAX_MS);
}
