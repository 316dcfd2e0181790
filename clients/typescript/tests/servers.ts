/** Server processes, relays to them that can be cut or speak TLS, and clients of both libraries. */

import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type Server as Listener, type Socket, connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createServer as createTlsServer } from "node:tls";

import { Redis } from "ioredis";
import { createClient } from "redis";

import { Quartet } from "../src/index.js";

/** Looks at a condition before a test gives up. */
const LOOKS_MAX = 6000;

let names = 0;

/** A name that no other test uses. */
export const name = (word = "resource"): string => `${word}-${process.pid}-${names++}`;

/** Waits until a condition holds. */
export async function waitFor(condition: () => unknown): Promise<void> {
  for (let look = 0; look < LOOKS_MAX; look++) {
    if (await condition()) return;
    await delay(10);
  }
  throw new Error("it did not come about");
}

/** Waits until a signal is aborted, and returns its reason. */
export async function aborted(signal: AbortSignal): Promise<unknown> {
  await waitFor(() => signal.aborted);
  return signal.reason;
}

/** A Quartet server: the program that the environment variable QUARTET names, or `quartet` on the path. */
export class Server implements AsyncDisposable {
  /** Where it listens, which is another port each time it starts. */
  port = 0;
  #process!: ChildProcess;
  #client: Redis | undefined;
  readonly #folder = mkdtempSync(join(tmpdir(), "quartet-client-"));

  private constructor(readonly options: string[]) {}

  static async start(...options: string[]): Promise<Server> {
    const server = new Server(options);
    await server.start();
    return server;
  }

  async start(): Promise<void> {
    const ports = join(this.#folder, "ports.json");
    rmSync(ports, { force: true });
    this.#client?.disconnect();
    this.#client = undefined;
    const own = ["--port", "0", "--http-port", "off", "--broker-port", "off", "--dir", "", "--ports-file", ports];
    this.#process = spawn(process.env["QUARTET"] ?? "quartet", [...own, ...this.options], { stdio: "ignore" });
    await waitFor(() => existsSync(ports));
    const text = readFileSync(ports, "utf8");
    this.port = Number((JSON.parse(text) as { resp: string }).resp.split(":").at(-1));
  }

  /** The reply of the server to any command. */
  async command(...[command = "", ...rest]: string[]): Promise<unknown> {
    if (!this.#client) {
      this.#client = new Redis({ port: this.port, maxRetriesPerRequest: 0, retryStrategy: () => 50 });
      this.#client.on("error", () => undefined);
    }
    return await this.#client.call(command, ...rest);
  }

  /** For how many milliseconds the resource is held; 0 if it is not. */
  async heldMs(resource: string): Promise<number> {
    const found = (await this.command("LOCK.INFO", resource)) as unknown[] | null;
    const holders = found?.[found.indexOf("holders") + 1] as unknown[][] | undefined;
    const holder = holders?.[0];
    return holder ? Number(holder[holder.indexOf("held_ms") + 1]) + 1 : 0;
  }

  async waits(resource: string): Promise<number> {
    return ((await this.command("LOCK.WAITS", "RESOURCE", resource)) as unknown[]).length;
  }

  pause(): void {
    this.#process.kill("SIGSTOP");
  }

  resume(): void {
    this.#process.kill("SIGCONT");
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#process.once("exit", resolve));
    this.#process.kill("SIGKILL");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.disconnect();
    if (this.#process.exitCode === null && this.#process.signalCode === null) await this.stop();
    rmSync(this.#folder, { recursive: true });
  }
}

/** A redis-server, if there is one.  It takes only ports that are chosen before, which others may take first: it has a
 * socket at a path, behind a relay.
 */
export async function redisServer(): Promise<(AsyncDisposable & { port: number }) | undefined> {
  const folder = mkdtempSync(join(tmpdir(), "quartet-client-"));
  const path = join(folder, "redis");
  const options = ["--port", "0", "--unixsocket", path, "--save", "", "--dir", folder];
  const server = spawn("redis-server", options, { stdio: "ignore" });
  const ended = new Promise((resolve) => server.once("exit", resolve));
  const isThere = await new Promise((resolve) => {
    server.once("error", () => resolve(false));
    server.once("spawn", () => resolve(true));
  });
  if (!isThere) return undefined;
  await waitFor(() => isServed(path));
  const relay = await Relay.start(path);
  return {
    port: relay.port,
    async [Symbol.asyncDispose](): Promise<void> {
      await relay[Symbol.asyncDispose]();
      server.kill("SIGKILL");
      await ended;
      rmSync(folder, { recursive: true });
    },
  };
}

/** Whether somebody accepts connections at this path. */
function isServed(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("error", () => resolve(false));
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** Passes bytes to a port, or to a socket at a path, until it is cut. */
export class Relay implements AsyncDisposable {
  isCut = false;
  /** What the server answers is lost, and the connection with it. */
  losesReplies = false;
  readonly #open = new Set<Socket>();

  /** `target` is where it connects to for those who connect from now on. */
  private constructor(
    public target: number | string,
    readonly listener: Listener,
  ) {}

  get port(): number {
    return (this.listener.address() as AddressInfo).port;
  }

  static async start(target: number | string, tls?: { cert: Buffer; key: Buffer }): Promise<Relay> {
    const serve = (client: Socket): void => {
      if (relay.isCut) return void client.destroy();
      const { target } = relay;
      const server = connect(typeof target === "number" ? { host: "127.0.0.1", port: target } : { path: target });
      for (const [from, to] of [[client, server] as const, [server, client] as const]) {
        relay.#open.add(from);
        from.on("error", () => to.destroy());
        from.on("close", () => {
          relay.#open.delete(from);
          to.destroy();
        });
      }
      client.pipe(server);
      server.on("data", (data) => void (relay.losesReplies ? server.destroy() : client.write(data)));
    };
    const relay: Relay = new Relay(target, tls ? createTlsServer(tls, serve) : createServer(serve));
    await new Promise<void>((resolve) => relay.listener.listen(0, "127.0.0.1", resolve));
    return relay;
  }

  /** Closes all connections; new ones come through. */
  closeAll(): void {
    for (const socket of this.#open) socket.destroy();
    this.#open.clear();
  }

  /** Waits until somebody has connected since. */
  async waitForAnother(): Promise<void> {
    await waitFor(() => this.#open.size > 0);
  }

  /** Closes all connections and lets no new one through. */
  cut(): void {
    this.isCut = true;
    this.closeAll();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.listener.close(resolve));
  }
}

/** A certificate for 127.0.0.1, and its key. */
export function certificate(): { cert: Buffer; key: Buffer } {
  const folder = mkdtempSync(join(tmpdir(), "quartet-client-"));
  const [cert, key] = [join(folder, "certificate.pem"), join(folder, "key.pem")];
  const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
  const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
  execFileSync("openssl", ["req", "-x509", ...curve, ...subject, "-keyout", key, "-out", cert], { stdio: "ignore" });
  const read = { cert: readFileSync(cert), key: readFileSync(key) };
  rmSync(folder, { recursive: true });
  return read;
}

export const LIBRARIES = ["ioredis", "node-redis"] as const;
export type Library = (typeof LIBRARIES)[number];

interface Settings {
  password?: string;
  ca?: Buffer;
}

/** A client of one of the libraries. */
export function client(library: Library, port: number, { password, ca }: Settings = {}): Quartet {
  if (library === "ioredis") {
    const tls = ca && { tls: { ca } };
    return new Quartet(new Redis({ host: "127.0.0.1", port, lazyConnect: true, ...(password && { password }), ...tls }));
  }
  const socket = { host: "127.0.0.1", port };
  const given = createClient({ ...(password && { password }), socket: ca ? { ...socket, tls: true as const, ca } : socket });
  return new Quartet(given);
}
