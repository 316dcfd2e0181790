// Reads the stream DAMAGED, of whose six messages one cannot be read: `node nats_damaged.js HOST:PORT`.
//
// It prints for each way of reading the sequences that it got.

import { AckPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

const READABLE = 5;

const client = await connect({ servers: process.argv[2] });
const streams = jetstream(client);
const manager = await jetstreamManager(client);

const told = (way, messages) => console.log(`${way}: ${messages.map((message) => message.seq).join(" ")}`);

async function consumer(name) {
  await manager.consumers.add("DAMAGED", { durable_name: name, ack_policy: AckPolicy.Explicit });
  return streams.consumers.get("DAMAGED", name);
}

/** The messages that can be read, of those that come. */
async function readable(messages) {
  const found = [];
  for await (const message of messages) {
    found.push(message);
    if (found.length === READABLE) break;
  }
  return found;
}

told("fetch", await readable(await (await consumer("fetch")).fetch({ max_messages: READABLE })));
const one_by_one = await consumer("next");
const next = [];
while (next.length < READABLE) next.push(await one_by_one.next());
told("next", next);
told("consume", await readable(await (await consumer("consume")).consume({ max_messages: 2 })));
told("ordered", await readable(await (await streams.consumers.get("DAMAGED")).consume()));
await client.close();
