/** The commands that are sent, as lists of arguments. */

import { randomUUID } from "node:crypto";

import { LONGEST_MS } from "./terms.js";

export type Command = string[];

/** A limit that a request states itself, in place of a policy. */
export interface Rate {
  algorithm: "gcra" | "sliding" | "log" | "fixed" | "leaky" | "refill";
  limit: number;
  periodMs: number;
  burst?: number;
}

/** What is asked of a lock: its resources and how they are held. */
export interface Asked {
  resources: readonly string[];
  ttlMs: number;
  shared: boolean;
  reentrant: boolean;
  permits: { count: number; of: number } | null;
  meta: string | null;
}

/** A policy, a key and a cost, which is 1 unless given. */
export type Check = readonly [policy: string, key: string, cost?: number];

const whole = (milliseconds: number): string => String(Math.max(0, Math.round(milliseconds)));

/** A name for one request, so that its repetition has the same result. */
export const requestId = (): string[] => ["REQID", randomUUID()];

/** How long a request may wait in the server; without a time it waits as long as the server lets it. */
export const timeInServer = (waitMs: number | null): number => Math.min(waitMs ?? LONGEST_MS, LONGEST_MS);

export function acquire(asked: Asked, owner: string, waitMs: number | null, session: string | null): Command {
  const { resources, permits } = asked;
  return [
    ...(resources.length === 1
      ? ["LOCK.ACQUIRE", ...resources, owner]
      : ["LOCK.MACQUIRE", owner, String(resources.length), ...resources]),
    ...(session === null ? ["TTL", whole(asked.ttlMs)] : ["SESSION", session]),
    ...(waitMs === null || waitMs > 0 ? ["WAIT", whole(timeInServer(waitMs))] : []),
    ...(permits ? ["PERMITS", String(permits.count), "OF", String(permits.of)] : asked.shared ? ["SHARED"] : []),
    ...(asked.reentrant ? ["REENTRANT"] : []),
    ...(asked.meta === null ? [] : ["META", asked.meta]),
    ...requestId(),
  ];
}

/** Gives all resources back together. */
export function release(
  resources: readonly string[],
  owner: string,
  fencingToken: number | null,
  id: readonly string[] = requestId(),
): Command {
  return [
    ...(resources.length === 1
      ? ["LOCK.RELEASE", ...resources, owner]
      : ["LOCK.MRELEASE", owner, String(resources.length), ...resources]),
    ...(fencingToken === null ? [] : ["FENCE", String(fencingToken)]),
    ...id,
  ];
}

/** Makes all resources last this long from now. */
export function renew(resources: readonly string[], owner: string, fencingToken: number, ttlMs: number): Command[] {
  const last = [owner, "TTL", whole(ttlMs), "FENCE", String(fencingToken)];
  return resources.map((resource) => ["LOCK.RENEW", resource, ...last]);
}

/** Opens a session that lasts from ping to ping. */
export function openSession(ttlMs: number, delayMs: number): Command {
  const delay = delayMs > 0 ? ["DELAY", whole(delayMs)] : [];
  return ["LOCK.SESSION", "OPEN", "TTL", whole(ttlMs), ...delay, ...requestId()];
}

/** Writes into Quartet's cache only while the resource is held under this token. */
export function fencedSet(key: string, value: string, resource: string, token: number, expiresMs: number | null): Command {
  const expires = expiresMs === null ? [] : ["PX", whole(expiresMs)];
  return ["FENCE.SET", key, value, "LOCK", resource, "FENCE", String(token), ...expires];
}

export interface CheckOptions {
  /** Only asks. */
  peek?: boolean;
  /** Takes as much as is left, up to the cost. */
  upTo?: boolean;
  /** Waits its turn for so long. */
  waitMs?: number;
}

export function check(limit: string | Rate, key: string, cost: number, options: CheckOptions): Command {
  const { peek = false, upTo = false, waitMs = 0 } = options;
  if ([peek, upTo, waitMs > 0].filter(Boolean).length > 1) throw new TypeError("peek, upTo and waitMs exclude one another");
  const rate =
    typeof limit === "string"
      ? ["POLICY", limit]
      : [
          ...["INLINE", limit.algorithm, String(limit.limit), whole(limit.periodMs)],
          ...(limit.burst === undefined ? [] : ["BURST", String(limit.burst)]),
        ];
  const way = peek ? ["PEEK"] : upTo ? ["UPTO"] : waitMs > 0 ? ["WAIT", whole(waitMs)] : [];
  return ["RL.CHECK", key, ...rate, "COST", String(cost), ...way];
}

/** Asks several policies at once: from all of them or from none. */
export function checkAll(checks: readonly Check[], waitMs: number): Command {
  const each = checks.flatMap(([policy, key, cost = 1]) => [policy, key, String(cost)]);
  return ["RL.MCHECK", String(checks.length), ...each, ...(waitMs > 0 ? ["WAIT", whole(waitMs)] : [])];
}
