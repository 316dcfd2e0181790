/**
 * Names for the owners of locks.  What runs within a lock has its owner, so that the server can tell when they are in a deadlock.
 */

import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";

interface Owner {
  name: string;
  /** It waits for a lock, and an owner waits for one at a time. */
  isWaiting: boolean;
}

const inside = new AsyncLocalStorage<Owner>();
const prefix = `${hostname().slice(0, 64)}:${process.pid}`;

function made(name?: string): Owner {
  return { name: name ?? `${prefix}:${randomUUID()}`, isWaiting: false };
}

/** Runs this for an owner: the one that is named, or the one inside whose lock it runs unless that one waits, or a new one. */
export async function asOwner<Result>(name: string | undefined, ask: (owner: string) => Promise<Result>): Promise<Result> {
  const outer = inside.getStore();
  const owner = name === undefined && outer && !outer.isWaiting ? outer : made(name);
  owner.isWaiting = true;
  try {
    return await ask(owner.name);
  } finally {
    owner.isWaiting = false;
  }
}

/** The owner inside whose lock this runs. */
export const currentOwner = (): string | undefined => inside.getStore()?.name;

/** Runs this inside a lock of the owner. */
export function insideOf<Result>(owner: string, run: () => Result): Result {
  return inside.getStore()?.name === owner ? run() : inside.run(made(owner), run);
}
