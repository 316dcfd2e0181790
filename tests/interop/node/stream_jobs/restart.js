// What outlives the server.

import { AckPolicy } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { all_of, numbers, publish_numbers, same } from "./jobs.js";

async function everything_outlives_the_server({ client, manager, streams, print }) {
  await manager.streams.add({ name: "ORDERS", subjects: ["orders"] });
  await publish_numbers(streams, "orders", 100);
  await streams.publish("orders", "100", { msgID: "last" });
  await manager.consumers.add("ORDERS", { durable_name: "workers", ack_policy: AckPolicy.Explicit, ack_wait: 5_000_000_000 });
  const consumer = await streams.consumers.get("ORDERS", "workers");
  const messages = await consumer.consume({ max_messages: 20, expires: 5000, idle_heartbeat: 1000 });
  const entries = messages[Symbol.asyncIterator]();
  const bucket = await new Kvm(client).create("SETTINGS", { history: 5 });
  await bucket.put("a", "1");
  const watch = await bucket.watch();
  const changes = watch[Symbol.asyncIterator]();
  same((await changes.next()).value.string(), "1");
  for (const number of numbers(50)) {
    const { value } = await entries.next();
    same(value.string(), number);
    same(await value.ackAck(), true);
  }
  const back = (async () => {
    for await (const status of client.status()) if (status.type === "reconnect") return;
  })();
  print("restart");
  await back;
  const { state } = await manager.streams.info("ORDERS");
  same([state.messages, state.first_seq, state.last_seq], [101, 1, 101]);
  const again = await streams.publish("orders", "again", { msgID: "last" });
  same([again.seq, again.duplicate], [101, true]);
  // The reader goes on by itself; what was on its way when the server ended may come twice.
  const found = new Set();
  while (found.size < 51) {
    const { value } = await entries.next();
    found.add(value.string());
    value.ack();
  }
  same([...found].sort((left, right) => left - right), numbers(51, 50));
  await bucket.put("b", "2");
  // The watch begins anew where it was once it misses signs of life.
  const { value: change } = await changes.next();
  same([change.key, change.string(), change.revision], ["b", "2", 2]);
  watch.stop();
  same((await all_of(bucket.history())).map((entry) => [entry.key, entry.string()]), [["a", "1"], ["b", "2"]]);
  // It ends once its iterator has been left, which the next line does.
  messages.close();
  await entries.return();
}

export const jobs = [everything_outlives_the_server];
