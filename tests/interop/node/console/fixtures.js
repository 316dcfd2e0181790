// What the console is to show: keys of every type, locks with a queue and a deadlock, refusals, messages, and names that
// try to be markup.

import { connect } from "node:net";

export const MARKUP = `<img src=x onerror="alert('ran')">`;

// The requests of a program that is no browser.
export class Client {
  constructor(origin, password) {
    this.origin = origin;
    this.headers = password ? { Authorization: `Bearer ${password}` } : {};
  }

  async send(method, path, body, headers = {}) {
    const isText = body === undefined || typeof body === "string";
    const type = isText ? {} : { "Content-Type": "application/json" };
    const content = isText ? body : JSON.stringify(body);
    const response = await fetch(`${this.origin}/${path}`, { method, body: content, headers: { ...this.headers, ...type, ...headers } });
    return response.json().catch(() => null);
  }

  async run(...words) {
    const { result, error } = await this.send("POST", "redis", words);
    if (error) throw new Error(error);
    return result;
  }
}

// Fills a server.  Returns requests that go on waiting.
export async function fill(client) {
  for (const words of [
    ["SET", "user:1", "Ann", "EX", 864_000], ["SET", "greeting", "hello"], ["SET", MARKUP, MARKUP],
    ["SET", { base64: "/wD+" }, { base64: "AP8=" }],
    ["HSET", "cart:7", "apples", 3, "pears", 4], ["RPUSH", "jobs", "first", "second", "third"],
    ["SADD", "colours", "red", "green"], ["ZADD", "scores", 10, "ann", 7.5, "ben"],
  ]) await client.run(...words);
  await client.send("PUT", "policies/api", { limits: [{ algorithm: "gcra", limit: 3, period_ms: 3_600_000 }] });
  for (const key of ["ann", "ann", "ann", "ann", "ann", MARKUP, MARKUP, MARKUP, MARKUP]) {
    await client.send("POST", "check", { checks: [{ policy: "api", key, cost: 1 }] });
  }
  const lock = (owner, resource, wait_ms) => client.send("POST", "lock", { owner, resource, ttl: 600, ...(wait_ms ? { wait_ms } : {}) });
  await lock("worker-1", "orders");
  await lock("worker-2", "invoices");
  await lock(MARKUP, MARKUP);
  const waits = [lock("worker-1", "invoices", 300_000)];
  await waiting(client, 1);
  // This one would close a circle, and is refused.
  await lock("worker-2", "orders", 300_000);
  waits.push(lock("worker-3", "orders", 300_000));
  await waiting(client, 2);
  await client.send("PUT", "streams/orders", { subjects: ["orders.>"] });
  await client.send("PUT", "streams/orders/consumers/billing", { ack_policy: "explicit" });
  for (let number = 1; number <= 30; number++) await client.send("POST", "publish/orders.new", `order ${number}`);
  await client.send("POST", `publish/${encodeURIComponent("orders.<img/src=x/onerror=alert(1)>")}`, MARKUP);
  return waits;
}

async function waiting(client, count) {
  for (;;) {
    const { waits } = await client.send("GET", "locks/graph");
    if (waits.length >= count) return;
  }
}

// A client of the broker with a name, subscribed to a subject.
export async function subscribe(address, name, subject) {
  const [host, port] = address.split(/:(?=\d+$)/);
  const socket = connect({ host, port: Number(port) });
  const heard = new Promise((resolve) => socket.on("data", (data) => {
    if (String(data).includes("PONG")) resolve();
    // The server asks now and then whether anybody is there.
    if (String(data).includes("PING\r\n")) socket.write("PONG\r\n");
  }));
  socket.write(`CONNECT ${JSON.stringify({ name, verbose: false })}\r\nSUB ${subject} 1\r\nPING\r\n`);
  await heard;
  return socket;
}
