// WebSockets with the package `ws` and its defaults: the JSON form, and NATS' own client over them:
// `node websocket.js HOST:PORT COMPRESSION`, where COMPRESSION is yes or no.
//
// Each function is a step; its name is printed once it has passed.

import assert from "node:assert/strict";
import { wsconnect } from "@nats-io/nats-core";
import WebSocket from "ws";

const [address, compression] = process.argv.slice(2);

// A client of the JSON form, which reads one object after the other.
class Client {
  constructor() {
    this.socket = new WebSocket(`ws://${address}/ws`, "quartet.json");
    this.objects = [];
    this.waiting = [];
    this.socket.on("message", (data, isBinary) => {
      assert.equal(isBinary, false);
      const object = JSON.parse(data.toString());
      const next = this.waiting.shift();
      if (next) next(object);
      else this.objects.push(object);
    });
    this.closed = new Promise((resolve) => this.socket.on("close", resolve));
  }

  read() {
    return this.objects.shift() ?? new Promise((resolve) => this.waiting.push(resolve));
  }

  ask(object) {
    this.socket.send(JSON.stringify(object));
    return this.read();
  }
}

async function connect(json) {
  assert.equal((await json.read()).op, "info");
  assert.equal(json.socket.protocol, "quartet.json");
  assert.equal(json.socket.extensions.startsWith("permessage-deflate"), compression === "yes");
}

async function publish_and_subscribe(json) {
  assert.equal((await json.ask({ op: "subscribe", subject: "news.*" })).op, "subscribed");
  assert.equal((await json.ask({ op: "publish", subject: "news.eu", payload: "hello" })).payload, "hello");
}

async function long_messages(json) {
  const payload = "wave ".repeat(100000);
  assert.equal((await json.ask({ op: "publish", subject: "news.eu", payload })).payload, payload);
  const bytes = Buffer.from(Array.from({ length: 70000 }, (_, index) => (index * 7919) >> 3));
  const base64 = bytes.toString("base64");
  assert.equal((await json.ask({ op: "publish", subject: "news.eu", base64 })).base64, base64);
}

async function ping(json) {
  const answer = new Promise((resolve) => json.socket.once("pong", resolve));
  json.socket.ping("are you there");
  assert.equal((await answer).toString(), "are you there");
}

async function nats_over_websocket(json, nats) {
  const subscription = nats.subscribe("news.>", { max: 2 });
  await nats.flush();
  json.socket.send(JSON.stringify({ op: "publish", subject: "news.us", payload: "json", headers: { a: "1" } }));
  nats.publish("news.asia", "nats");
  const received = [];
  for await (const message of subscription) received.push(message.string());
  assert.deepEqual(received.sort(), ["json", "nats"]);
  const subjects = [(await json.read()).subject, (await json.read()).subject];
  assert.deepEqual(subjects.sort(), ["news.asia", "news.us"]);
}

async function request(json, nats) {
  nats.subscribe("time.now", { callback: (_, message) => message.respond(`noon ${message.string()}`) });
  await nats.flush();
  const reply = await json.ask({ op: "request", subject: "time.now", payload: "utc", id: "r" });
  assert.deepEqual(reply, { op: "reply", id: "r", payload: "noon utc" });
  assert.equal((await nats.request("time.now", "too")).string(), "noon too");
  await assert.rejects(nats.request("nobody"), /no responders/i);
}

async function close(json, nats) {
  await nats.drain();
  json.socket.close(1000);
  assert.equal(await json.closed, 1000);
}

// What `wsconnect` takes, as in a browser.
globalThis.WebSocket = WebSocket;
const json = new Client();
const nats = await wsconnect({ servers: `ws://${address}/ws` });
for (const step of [connect, publish_and_subscribe, long_messages, ping, nats_over_websocket, request, close]) {
  await step(json, nats);
  console.log(step.name);
}
