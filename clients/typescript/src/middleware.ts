/**
 * Middleware that answers 429 with Retry-After where a limiter refuses, and adds the RateLimit headers to all responses:
 * for express (and whatever else takes `(request, response, next)`, such as connect or plain Node) and for fastify.
 */

import { setTimeout as delay } from "node:timers/promises";

import type { Limiter } from "./limits.js";
import type { Decision } from "./replies.js";

export interface MiddlewareOptions<Request> {
  /** The key of a request, or null for requests that are not limited.  The client's address unless it is given. */
  key?: (request: Request) => string | null;
  cost?: number;
  /** What to do while the limiter cannot be asked: answer 503, let the request pass, or pass the error on. */
  whenUnreachable?: "refuse" | "allow" | "throw";
}

interface Addressed {
  ip?: string | undefined;
  socket?: { remoteAddress?: string | undefined } | undefined;
}

/** What is answered in place of the application. */
interface Refusal {
  status: number;
  headers: Record<string, string>;
  body: string;
}

interface Answer {
  headers: Record<string, string>;
  refusal: Refusal | null;
}

const PROBLEM = { "Content-Type": "application/problem+json" };

function over(decision: Decision): Refusal {
  const body = {
    type: "/problems/quota-exceeded",
    title: "The request is over a limit",
    status: 429,
    "violated-policies": [decision.policy ?? "limit"],
  };
  return { status: 429, headers: { ...PROBLEM, ...decision.headers() }, body: JSON.stringify(body) };
}

const UNAVAILABLE: Refusal = {
  status: 503,
  headers: PROBLEM,
  body: JSON.stringify({ title: "The rate limiter cannot be reached", status: 503 }),
};

async function answer<Request extends Addressed>(
  limiter: Limiter,
  request: Request,
  options: MiddlewareOptions<Request>,
): Promise<Answer> {
  const address = (): string => request.ip ?? request.socket?.remoteAddress ?? "unknown";
  const key = options.key ? options.key(request) : address();
  if (key === null) return { headers: {}, refusal: null };
  let decision: Decision;
  try {
    decision = await limiter.check(key, options.cost ?? 1);
  } catch (error) {
    if (options.whenUnreachable === "throw") throw error;
    return { headers: {}, refusal: options.whenUnreachable === "allow" ? null : UNAVAILABLE };
  }
  if (!decision.allowed) return { headers: {}, refusal: over(decision) };
  if (decision.delayMs > 0) await delay(decision.delayMs);
  return { headers: decision.headers(), refusal: null };
}

interface NodeResponse {
  statusCode: number;
  setHeader(name: string, value: string): unknown;
  end(body: string): unknown;
}

/** Middleware for express. */
export function rateLimit<Request extends Addressed>(
  limiter: Limiter,
  options: MiddlewareOptions<Request> = {},
): (request: Request, response: NodeResponse, next: (error?: unknown) => void) => void {
  return (request, response, next) => {
    answer(limiter, request, options).then(({ headers, refusal }) => {
      for (const [name, value] of Object.entries(refusal?.headers ?? headers)) response.setHeader(name, value);
      if (!refusal) return next();
      response.statusCode = refusal.status;
      response.end(refusal.body);
    }, next);
  };
}

interface FastifyReply {
  code(status: number): unknown;
  headers(values: Record<string, string>): unknown;
  send(body: string): unknown;
}

/** A hook for fastify: `app.addHook("onRequest", fastifyRateLimit(limiter))`. */
export function fastifyRateLimit<Request extends Addressed>(
  limiter: Limiter,
  options: MiddlewareOptions<Request> = {},
): (request: Request, reply: FastifyReply) => Promise<unknown> {
  return async (request, reply) => {
    const { headers, refusal } = await answer(limiter, request, options);
    reply.headers(refusal?.headers ?? headers);
    if (!refusal) return undefined;
    reply.code(refusal.status);
    return reply.send(refusal.body);
  };
}
