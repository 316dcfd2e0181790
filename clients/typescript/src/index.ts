/**
 * Locks that renew themselves, semaphores, sessions and rate limits of a Quartet server, on ioredis or node-redis.
 */

export { Quartet, Session } from "./client.js";
export {
  Deadlock,
  LockLost,
  NotAcquired,
  NotHeld,
  NotQuartet,
  OwnerWaits,
  QuartetError,
  RateLimited,
  ServerError,
  ServerTimeout,
  WaitCancelled,
} from "./errors.js";
export { Held, Lease, Slot } from "./leases.js";
export { Limiter, Reservation } from "./limits.js";
export { type AcquireOptions, Lock, type LockOptions, Semaphore, type SemaphoreOptions } from "./locks.js";
export { type MiddlewareOptions, fastifyRateLimit, rateLimit } from "./middleware.js";
export { Decision } from "./replies.js";
export type { Check, CheckOptions, Rate } from "./requests.js";
export type { Client, Connection, Connector, Ioredis, NodeRedis } from "./transport.js";
