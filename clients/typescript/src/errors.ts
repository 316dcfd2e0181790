/**
 * What can go wrong, each with a class of its own.  Errors of the connection are those of the Redis client.
 */

import type { Decision } from "./replies.js";

/** The base of all errors of this package. */
export class QuartetError extends Error {
  override name = this.constructor.name;
}

/** The resource was not granted in the time that the caller was willing to wait. */
export class NotAcquired extends QuartetError {}

/** The lease has ended, or may have, before its holder released it: somebody else may hold the resource. */
export class LockLost extends QuartetError {}

/** A release was asked of a lock that this owner does not hold. */
export class NotHeld extends QuartetError {}

/** The wait would never have ended. */
export class Deadlock extends QuartetError {
  /** Owners and resources in turn, from this owner back to it. */
  readonly waits: readonly string[];

  constructor(message: string) {
    super(message);
    this.waits = message.replace(/^DEADLOCK /, "").split(" > ");
  }
}

/** The owner waits already.  Two threads of control need two owners. */
export class OwnerWaits extends QuartetError {}

/** Somebody has ended this wait with LOCK.CANCEL. */
export class WaitCancelled extends QuartetError {}

/** The server has not answered in time. */
export class ServerTimeout extends QuartetError {}

/** A limit refuses the request. */
export class RateLimited extends QuartetError {
  /** Which limit, and when to come back. */
  readonly decision: Decision;

  constructor(decision: Decision) {
    const after = decision.retryAfterMs === null ? "" : `; retry after ${decision.retryAfterMs} ms`;
    super(`the limit ${decision.policy ?? "of this request"} refuses it${after}`);
    this.decision = decision;
  }
}

/** The server does not know the commands of Quartet. */
export class NotQuartet extends QuartetError {}

/** An error that the server has answered, and that has no class of its own. */
export class ServerError extends QuartetError {
  /** Its first word, such as `NOTHELD`. */
  get word(): string {
    return this.message.split(" ", 1)[0] ?? "";
  }
}

/** The error of this package for an error that the server has answered. */
export function translated(error: ServerError): QuartetError {
  const { message, word } = error;
  if (/unknown command/i.test(message)) {
    return new NotQuartet(
      `the server is not Quartet, or is older than 0.1 (${message.trim()}): ` +
        "give the client the address of a Quartet server, whose port for the Redis protocol is 6379 unless changed",
    );
  }
  switch (word) {
    case "DEADLOCK":
      return new Deadlock(message);
    case "LOCKWAITS":
      return new OwnerWaits(`${message}: give each thread of control its own owner`);
    case "NOTHELD":
      return new NotHeld(message);
    case "NOSESSION":
      return new LockLost("the session has ended, and its locks with it");
    case "FENCED":
      return new LockLost("the resource is no longer held under this fencing token: nothing was written");
    case "CANCELLED":
      return new WaitCancelled("the wait was ended with LOCK.CANCEL");
    default:
      return error;
  }
}
