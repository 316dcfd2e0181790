/**
 * Connections of our own, made as those of the client that the user has configured: same address, password and TLS.
 *
 * A connection that waits for a lock answers nothing else meanwhile, and a renewal must not wait for others, so neither goes
 * over the user's connection.
 */

import { QuartetError, ServerError, ServerTimeout, translated } from "./errors.js";
import type { Command } from "./requests.js";
import { TIMER_MAX_MS } from "./terms.js";

/** One connection. */
export interface Connection {
  /** The reply of a command.  An error that the server answers is a ServerError. */
  call(command: Command): Promise<unknown>;
  /** Closes it at once; what it waits for fails. */
  close(): void;
}

/** Makes connections. */
export interface Connector {
  connect(timeoutMs: number): Promise<Connection>;
}

/** What is used of ioredis. */
export interface Ioredis {
  call(command: string, ...args: string[]): Promise<unknown>;
  duplicate(options?: object): IoredisConnection;
}

interface IoredisConnection {
  connect(): Promise<void>;
  call(command: string, ...args: string[]): Promise<unknown>;
  disconnect(reconnect?: boolean): void;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** What is used of node-redis. */
export interface NodeRedis {
  sendCommand(args: string[]): Promise<unknown>;
  options?: unknown;
  duplicate(options?: object): unknown;
}

interface NodeRedisConnection {
  connect(): Promise<unknown>;
  sendCommand(args: string[]): Promise<unknown>;
  destroy(): void;
  on(event: "error", listener: (error: Error) => void): unknown;
}

/** A client of one of the two libraries, or what makes connections in another way. */
export type Client = Ioredis | NodeRedis | Connector;

/** Most connections that are kept for the next request. */
const IDLE_MAX = 16;

/** How to make connections like those of a client. */
export function connector(client: Client): Connector {
  if ("connect" in client && !("duplicate" in client)) return client;
  if ("call" in client && "duplicate" in client) return ioredis(client);
  if ("sendCommand" in client) return nodeRedis(client);
  throw new TypeError("give Quartet a client of ioredis or of redis (node-redis), or a Connector");
}

const ignore = (): void => undefined;

function ioredis(client: Ioredis): Connector {
  return {
    async connect(timeoutMs) {
      const connection = client.duplicate({
        lazyConnect: true,
        retryStrategy: () => null,
        reconnectOnError: null,
        maxRetriesPerRequest: 0,
        autoResendUnfulfilledCommands: false,
        connectTimeout: timeoutMs,
        commandTimeout: undefined,
      });
      // Why a connection could not be made is told as an event only; the promise says that it is closed.
      let failure: Error | undefined;
      connection.on("error", (error) => (failure = error));
      await connection.connect().catch((error: unknown) => {
        throw failure ?? error;
      });
      return {
        async call([name = "", ...rest]) {
          try {
            return await connection.call(name, ...rest);
          } catch (error) {
            throw isNamed(error, "ReplyError") ? new ServerError((error as Error).message) : error;
          }
        },
        close: () => connection.disconnect(),
      };
    },
  };
}

function nodeRedis(client: NodeRedis): Connector {
  return {
    async connect(timeoutMs) {
      const socket = (client.options as { socket?: object } | undefined)?.socket;
      const connection = client.duplicate({
        socket: { ...socket, reconnectStrategy: false, connectTimeout: timeoutMs, socketTimeout: undefined },
        commandOptions: {},
      }) as NodeRedisConnection;
      connection.on("error", ignore);
      await connection.connect();
      return {
        async call(command) {
          try {
            return await connection.sendCommand(command);
          } catch (error) {
            throw isNamed(error, "ErrorReply") ? new ServerError((error as Error).message) : error;
          }
        },
        close() {
          try {
            connection.destroy();
          } catch {
            // It has closed by itself.
          }
        },
      };
    },
  };
}

/** Whether the error's name, or one of its classes', is this one. */
function isNamed(error: unknown, name: string): boolean {
  if (!(error instanceof Error)) return false;
  for (let kind: unknown = error; kind instanceof Error; kind = Object.getPrototypeOf(kind)) {
    if (kind.name === name || kind.constructor.name === name) return true;
  }
  return false;
}

/** Sends commands and waits for the replies as long as it is told. */
export class Transport {
  readonly #connector: Connector;
  readonly #timeoutMs: number;
  #idle: Connection[] = [];
  #isClosed = false;

  constructor(connector: Connector, timeoutMs: number) {
    this.#connector = connector;
    this.#timeoutMs = timeoutMs;
  }

  /** The reply of a command that may wait so long in the server.  Throws the errors of this package. */
  async call(command: Command, waitMs = 0, signal?: AbortSignal): Promise<unknown> {
    const once = async (): Promise<unknown> => (await this.batch([command], this.#timeoutMs + waitMs, signal))[0];
    let reply: unknown;
    try {
      reply = await once();
    } catch (error) {
      if (error instanceof QuartetError || signal?.aborted) throw error;
      this.#dropIdle();
      // A connection that was idle may have been closed meanwhile.  Requests about locks have an id, and a check that is
      // repeated only costs somebody a little of a limit.
      reply = await once();
    }
    if (reply instanceof ServerError) throw translated(reply);
    return reply;
  }

  /** The replies of several commands, in which errors of the server are values. */
  async batch(commands: readonly Command[], timeoutMs: number, signal?: AbortSignal): Promise<unknown[]> {
    signal?.throwIfAborted();
    let connection: Connection | undefined = this.#idle.pop();
    let timer: NodeJS.Timeout | undefined;
    let abort: (() => void) | undefined;
    let isOver = false;
    const ending = new Promise<never>((_, reject) => {
      const late = (): void => reject(new ServerTimeout("the server has not answered in time"));
      timer = setTimeout(late, Math.min(timeoutMs, TIMER_MAX_MS));
      abort = () => reject(signal?.reason);
      signal?.addEventListener("abort", abort);
    });
    const asking = async (): Promise<unknown[]> => {
      if (!connection) {
        const made = await this.#connector.connect(Math.min(timeoutMs, this.#timeoutMs));
        if (isOver) {
          made.close();
          return [];
        }
        connection = made;
      }
      const used = connection;
      const reply = async (command: Command): Promise<unknown> => {
        try {
          return await used.call(command);
        } catch (error) {
          if (error instanceof ServerError) return error;
          throw error;
        }
      };
      return await Promise.all(commands.map(reply));
    };
    const asked = asking();
    asked.catch(ignore);
    try {
      const replies = await Promise.race([asked, ending]);
      this.#giveBack(connection);
      return replies;
    } catch (error) {
      // The server withdraws what it has not answered yet.
      connection?.close();
      throw error;
    } finally {
      isOver = true;
      clearTimeout(timer);
      if (abort) signal?.removeEventListener("abort", abort);
    }
  }

  #giveBack(connection: Connection | undefined): void {
    if (!connection) return;
    if (this.#isClosed || this.#idle.length >= IDLE_MAX) connection.close();
    else this.#idle.push(connection);
  }

  /** Closes what is idle, and what is in use once it is not. */
  close(): void {
    this.#isClosed = true;
    this.#dropIdle();
  }

  /** Closes what is idle: the other end of the one has closed it, and so probably those of the others. */
  #dropIdle(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }
}
