/**
 * How long a lease certainly lasts, by this machine's clock.
 *
 * The server's clock is never compared with ours.  A lease that the server granted or renewed in answer to a request lasts at
 * least its full length from the moment the request was sent, since the server got it later.  A lease counts as lost a little
 * before that time, so that its holder knows it before anybody else can be granted the resource.
 */

/** The part of a lease after which it is renewed. */
const RENEW_AFTER = 1 / 3;

/** Renewals come up to this part earlier, so that those of many clients spread. */
const JITTER = 0.2;

/** The part of a lease that is given up at its end, for the time it takes to tell the holder, and at most how much. */
const MARGIN = 0.1;
const MARGIN_MAX_MS = 500;

/** How many times a renewal that failed is tried within a lease, about. */
const ATTEMPTS = 15;

/** The longest wait that the server takes. */
export const LONGEST_MS = 30 * 86_400_000;

/** The longest time that a timer takes. */
export const TIMER_MAX_MS = 2 ** 31 - 1;

/** A wall clock that is this far ahead of the other one has gone on while the machine slept, or was set. */
const SLEPT_MS = 1000;

let slept = 0;
let ahead = Date.now() - performance.now();

/**
 * Milliseconds of a clock that is never set back.  It goes on while the machine sleeps, as the server's clock does.  If the
 * wall clock is set forward, leases count as lost too early, which is safe.
 */
export function now(): number {
  const monotonic = performance.now();
  const aheadNow = Date.now() - monotonic;
  if (aheadNow - ahead > SLEPT_MS) slept += aheadNow - ahead;
  ahead = aheadNow;
  return monotonic + slept;
}

/** A lease of `lengthMs` that began at `beganAt`, or later. */
export class Term {
  constructor(
    readonly lengthMs: number,
    readonly beganAt: number,
  ) {}

  /** When it counts as lost unless it is renewed before. */
  get lostAt(): number {
    return this.beganAt + this.lengthMs - Math.min(this.lengthMs * MARGIN, MARGIN_MAX_MS);
  }

  /** When to renew it. */
  dueAt(): number {
    return this.beganAt + this.lengthMs * RENEW_AFTER * (1 - Math.random() * JITTER);
  }

  /** When to try again after an attempt that failed at this time. */
  againAt(at: number): number {
    return at + (this.lengthMs / ATTEMPTS) * (1 - Math.random() * JITTER);
  }
}
