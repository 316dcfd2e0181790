/**
 * What the server answers, read from both versions of the Redis protocol and in whatever shape a client gives maps.
 */

import { RateLimited } from "./errors.js";

/** A resource was granted. */
export interface Grant {
  fencingToken: number;
  /** What was left of the lease when the server answered; null with a session. */
  leftMs: number | null;
  /** How long the request has waited in the server. */
  waitedMs: number;
}

/** What a limiter has decided. */
export class Decision {
  readonly allowed: boolean;
  readonly limit: number;
  readonly remaining: number;
  /** When a retry succeeds if nobody else takes anything; null if it is allowed, or never will be. */
  readonly retryAfterMs: number | null;
  /** When all is back. */
  readonly resetAfterMs: number;
  /** The limit that decided; null if the request stated its limit. */
  readonly policy: string | null;
  /** A policy in shadow mode would have refused it. */
  readonly shadow: boolean;
  /** How long to wait before going on, which spaces requests evenly; only the algorithm `leaky` asks for it. */
  readonly delayMs: number;
  /** How much was taken. */
  readonly taken: number;

  constructor(fields: Map<string, unknown>, cost: number) {
    const number = (name: string): number => Number(fields.get(name));
    this.allowed = number("allowed") === 1;
    this.limit = number("limit");
    this.remaining = number("remaining");
    this.retryAfterMs = number("retry_after_ms") < 0 ? null : number("retry_after_ms");
    this.resetAfterMs = number("reset_after_ms");
    const policy = fields.get("policy");
    this.policy = policy === null || policy === undefined ? null : String(policy);
    this.shadow = number("shadow") === 1;
    this.delayMs = number("delay_ms");
    this.taken = fields.has("taken") ? number("taken") : this.allowed ? cost : 0;
  }

  /** Throws RateLimited unless the request is allowed. */
  throwIfRefused(): this {
    if (!this.allowed) throw new RateLimited(this);
    return this;
  }

  /** The headers of a response over HTTP, as Quartet itself writes them: RateLimit and, if refused, Retry-After. */
  headers(): Record<string, string> {
    const name = this.policy ?? "limit";
    const seconds = Math.ceil((this.retryAfterMs ?? this.resetAfterMs) / 1000);
    const headers: Record<string, string> = {
      "RateLimit-Policy": `"${name}";q=${this.limit}`,
      RateLimit: `"${name}";r=${this.remaining};t=${seconds}`,
    };
    if (this.retryAfterMs !== null) headers["Retry-After"] = String(seconds);
    return headers;
  }
}

/** The elements of a decision in their order, as the second version of the protocol has them without names. */
const DECISION = ["allowed", "limit", "remaining", "retry_after_ms", "reset_after_ms", "policy", "shadow", "delay_ms"];

/** Names and values of a reply that is no list, in any of the shapes of a map. */
function mapped(reply: unknown): Map<string, unknown> | null {
  if (reply instanceof Map) return new Map([...reply].map(([name, value]) => [String(name), value]));
  if (reply !== null && typeof reply === "object" && !Array.isArray(reply)) return new Map(Object.entries(reply));
  return null;
}

/** A reply whose list has names and values in turn. */
function paired(reply: unknown): Map<string, unknown> {
  const map = mapped(reply);
  if (map) return map;
  const list = reply as unknown[];
  const fields = new Map<string, unknown>();
  for (let at = 0; at + 1 < list.length; at += 2) fields.set(String(list[at]), list[at + 1]);
  return fields;
}

/** The reply of LOCK.ACQUIRE and LOCK.RENEW. */
export function grant(reply: unknown): Grant | null {
  if (reply === null || reply === undefined) return null;
  const fields = paired(reply);
  const left = fields.get("ttl_ms");
  return {
    fencingToken: Number(fields.get("fence")),
    leftMs: left === null || left === undefined ? null : Number(left),
    waitedMs: Number(fields.get("waited_ms") ?? 0),
  };
}

/** The reply of a check, with further elements before and behind it. */
export function decision(
  reply: unknown,
  cost: number,
  before: string[] = [],
  after: string[] = [],
): { decision: Decision; fields: Map<string, unknown> } {
  let fields = mapped(reply);
  if (!fields) {
    const list = reply as unknown[];
    // Some clients make a list of names and values of a map.
    if (typeof list[0] === "string" && [...before, ...DECISION].includes(list[0])) {
      fields = paired(list);
    } else {
      const names = [...before, ...DECISION, ...after].slice(0, list.length);
      fields = new Map(names.map((name, at) => [name, list[at]]));
    }
  }
  return { decision: new Decision(fields, cost), fields };
}
