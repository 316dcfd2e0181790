/** The two timers of a client: one renews everything it holds, and one tells holders what is lost. */

import { Book, CLOSED, type Holding, patience } from "./holdings.js";
import { TIMER_MAX_MS, now } from "./terms.js";
import type { Transport } from "./transport.js";

/** Keeps holdings alive from the first one until the client is closed. */
export class Renewal {
  readonly #transport: Transport;
  readonly #book = new Book();
  #isRenewing = false;
  #isClosed = false;
  #dueTimer: NodeJS.Timeout | undefined;
  #endTimer: NodeJS.Timeout | undefined;

  constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** Renews it from now on. */
  keep(holding: Holding): void {
    if (this.#isClosed) return holding.lose(CLOSED);
    this.#book.add(holding);
    this.#setTimers();
  }

  /** Renews it no longer.  Returns whether it was still held. */
  release(holding: Holding): boolean {
    this.#book.remove(holding);
    const wasHeld = !holding.look(now());
    holding.isReleased = true;
    return wasHeld;
  }

  /** Ends the timers.  What is still held is lost, since nobody renews it. */
  close(): void {
    this.#isClosed = true;
    this.#book.loseAll(CLOSED);
    clearTimeout(this.#dueTimer);
    clearTimeout(this.#endTimer);
  }

  #setTimers(): void {
    if (this.#isClosed) return;
    const in_ = (time: number): number => Math.min(Math.max(0, Math.ceil(time - now())), TIMER_MAX_MS);
    clearTimeout(this.#endTimer);
    clearTimeout(this.#dueTimer);
    const nextEnd = this.#book.nextEnd();
    if (nextEnd !== Infinity) this.#endTimer = setTimeout(() => this.#look(), in_(nextEnd));
    const nextDue = this.#book.nextDue();
    if (nextDue !== Infinity && !this.#isRenewing) {
      this.#dueTimer = setTimeout(() => void this.#renew(), in_(nextDue));
    }
  }

  #look(): void {
    this.#book.look(now());
    this.#setTimers();
  }

  async #renew(): Promise<void> {
    const sentAt = now();
    const batch = this.#book.due(sentAt);
    const commands = batch.map((holding) => holding.renewals());
    this.#isRenewing = true;
    try {
      if (batch.length === 0) return;
      const replies = await this.#transport.batch(commands.flat(), patience(batch, sentAt));
      this.#book.settle(batch, commands, replies, sentAt);
    } catch {
      // Whatever it was, it may go better next time; if not, the other timer tells the holders.
      this.#book.fail(batch, now());
    } finally {
      this.#isRenewing = false;
      this.#setTimers();
    }
  }
}
