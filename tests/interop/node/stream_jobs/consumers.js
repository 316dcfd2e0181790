// Consumers: pulled one at a time, in batches and without end; pushed; ordered; and every way of acknowledging.

import { AckPolicy, DeliverPolicy, RetentionPolicy } from "@nats-io/jetstream";
import { all_of, failed, next, numbers, publish_numbers, refused, same, text, until } from "./jobs.js";

/** A stream, with numbers published, and a consumer of it. */
async function prepared({ manager, streams }, name, count, consumer = {}, stream = {}) {
  await manager.streams.add({ name, subjects: ["orders.*"], ...stream });
  await publish_numbers(streams, "orders.1", count);
  await manager.consumers.add(name, { durable_name: "workers", ack_policy: AckPolicy.Explicit, ...consumer });
  return streams.consumers.get(name, "workers");
}

const nothing_comes = async (consumer) => same(await consumer.next({ expires: 1000 }), null);

async function messages_come_one_at_a_time(all) {
  const consumer = await prepared(all, "TIME", 3);
  for (const number of numbers(3)) {
    const message = await consumer.next();
    same([message.string(), message.seq, message.redelivered, message.info.pending], [number, Number(number) + 1, false, 2 - number]);
    same(await message.ackAck(), true);
  }
  await nothing_comes(consumer);
  const info = await consumer.info();
  same([info.num_pending, info.num_ack_pending, info.ack_floor.stream_seq, info.delivered.consumer_seq], [0, 0, 3, 3]);
}

async function messages_are_fetched(all) {
  const consumer = await prepared(all, "FETCHED", 100);
  const first = await all_of(consumer.fetch({ max_messages: 60 }));
  same(first.map(text), numbers(60));
  first.forEach((message) => message.ack());
  const rest = await all_of(consumer.fetch({ max_messages: 60, expires: 1000 }));
  same(rest.map(text), numbers(40, 60));
  rest.forEach((message) => message.ack());
  await until(async () => (await consumer.info()).ack_floor.stream_seq === 100);
}

async function fetches_are_bounded_by_bytes(all) {
  await all.manager.streams.add({ name: "BYTES", subjects: ["orders"] });
  for (const _ of numbers(10)) await all.streams.publish("orders", "x".repeat(1000));
  await all.manager.consumers.add("BYTES", { durable_name: "workers", ack_policy: AckPolicy.Explicit });
  const consumer = await all.streams.consumers.get("BYTES", "workers");
  const found = [];
  const reading = async () => {
    for await (const message of await consumer.fetch({ max_bytes: 3500, expires: 1000 })) found.push(message.seq);
  };
  // The next one would have been too large, which this library takes for an error.
  same([(await failed(reading())).message, found], ["message size exceeds maxbytes", [1, 2, 3]]);
}

async function messages_are_consumed_without_end(all) {
  const consumer = await prepared(all, "WITHOUT", 2000);
  const messages = await consumer.consume({ max_messages: 100 });
  const found = [];
  const publishing = publish_numbers(all.streams, "orders.2", 1000);
  for await (const message of messages) {
    found.push(message.string());
    message.ack();
    if (found.length === 3000) break;
  }
  await publishing;
  same(found, [...numbers(2000), ...numbers(1000)]);
  await messages.close();
  await until(async () => (await consumer.info()).ack_floor.stream_seq === 3000);
}

async function messages_are_consumed_by_a_callback(all) {
  const consumer = await prepared(all, "CALLBACK", 500);
  const found = [];
  await new Promise((done) => {
    const callback = (message) => {
      found.push(message.string());
      message.ack();
      if (found.length === 500) done();
    };
    consumer.consume({ callback, max_messages: 50 });
  });
  same(found, numbers(500));
}

async function refused_messages_come_again(all) {
  const consumer = await prepared(all, "AGAIN", 1);
  (await consumer.next()).nak();
  const again = await consumer.next();
  same([again.string(), again.redelivered, again.info.deliveryCount], ["0", true, 2]);
  again.nak(1500);
  await nothing_comes(consumer);
  const later = await consumer.next();
  same(later.info.deliveryCount, 3);
  later.term("no use");
  await nothing_comes(consumer);
  await until(async () => (await consumer.info()).num_ack_pending === 0);
}

async function progress_keeps_messages(all) {
  const consumer = await prepared(all, "MESSAGES", 1, { ack_wait: 1_500_000_000 });
  const message = await consumer.next();
  for (const _ of numbers(3)) {
    await nothing_comes(consumer);
    message.working();
  }
  same((await consumer.info()).num_redelivered, 0);
  same((await consumer.next()).info.deliveryCount, 2);
}

async function deliveries_end(all) {
  const consumer = await prepared(all, "DELIVERIES", 2, { max_deliver: 2, ack_wait: 200_000_000 });
  const found = await all_of(consumer.fetch({ max_messages: 5, expires: 2000 }));
  same(found.map((message) => [message.seq, message.info.deliveryCount]), [[1, 1], [2, 1], [1, 2], [2, 2]]);
  same((await consumer.info()).num_pending, 0);
}

async function consumers_start_where_they_are_told({ manager, streams }) {
  await manager.streams.add({ name: "WHERE", subjects: ["orders.*"] });
  for (const subject of ["a", "b", "a", "c", "b"]) await streams.publish(`orders.${subject}`, subject);
  const sequences = async (config) => {
    const { name, num_pending } = await manager.consumers.add("WHERE", { ack_policy: AckPolicy.None, inactive_threshold: 60_000_000_000, ...config });
    const consumer = await streams.consumers.get("WHERE", name);
    const found = num_pending > 0 ? await all_of(consumer.fetch({ max_messages: num_pending })) : [];
    return found.map((message) => message.seq);
  };
  same(await sequences({ deliver_policy: DeliverPolicy.All }), [1, 2, 3, 4, 5]);
  same(await sequences({ deliver_policy: DeliverPolicy.Last }), [5]);
  same(await sequences({ deliver_policy: DeliverPolicy.New }), []);
  same(await sequences({ deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: 3 }), [3, 4, 5]);
  same(await sequences({ deliver_policy: DeliverPolicy.LastPerSubject, filter_subject: ">" }), [3, 4, 5]);
  const { timestamp } = await manager.streams.getMessage("WHERE", { seq: 4 });
  same(await sequences({ deliver_policy: DeliverPolicy.StartTime, opt_start_time: timestamp }), [4, 5]);
  same(await sequences({ filter_subjects: ["orders.a", "orders.c"] }), [1, 3, 4]);
  same(await sequences({ filter_subject: "orders.b" }), [2, 5]);
}

async function consumers_are_listed_changed_and_deleted({ manager }) {
  await manager.streams.add({ name: "DELETED", subjects: ["orders.*"] });
  const names = numbers(30, 100);
  for (const name of names) await manager.consumers.add("DELETED", { durable_name: name, ack_policy: AckPolicy.Explicit });
  same((await all_of(manager.consumers.list("DELETED"))).map((info) => info.name), names);
  const changed = await manager.consumers.update("DELETED", "100", { ack_wait: 5_000_000_000, description: "quick" });
  same([changed.config.ack_wait, changed.config.description], [5_000_000_000, "quick"]);
  same(await manager.consumers.delete("DELETED", "100"), true);
  await refused(manager.consumers.info("DELETED", "100"), 404, 10014, "consumer not found");
  same((await manager.streams.info("DELETED")).state.consumer_count, 29);
}

async function paused_consumer_waits(all) {
  const consumer = await prepared(all, "WAITS", 1);
  same((await all.manager.consumers.pause("WAITS", "workers", new Date(Date.now() + 3_600_000))).paused, true);
  await nothing_comes(consumer);
  same((await all.manager.consumers.resume("WAITS", "workers")).paused, false);
  same((await consumer.next()).string(), "0");
}

async function ordered_consumer_reads_all({ manager, streams }) {
  await manager.streams.add({ name: "READS", subjects: ["orders.*"] });
  await publish_numbers(streams, "orders.1", 1000);
  await publish_numbers(streams, "orders.2", 10);
  const all = await streams.consumers.get("READS");
  same((await next(await all.consume(), 1010)).map(text), [...numbers(1000), ...numbers(10)]);
  const some = await streams.consumers.get("READS", { filter_subjects: "orders.2", deliver_policy: DeliverPolicy.All });
  same((await all_of(some.fetch({ max_messages: 10 }))).map(text), numbers(10));
  same(await some.next({ expires: 1000 }), null);
  await streams.publish("orders.2", "live");
  same((await some.next()).string(), "live");
}

async function ordered_consumer_begins_anew({ manager, streams }) {
  await manager.streams.add({ name: "ANEW", subjects: ["orders"] });
  await publish_numbers(streams, "orders", 10);
  const consumer = await streams.consumers.get("ANEW");
  const messages = await consumer.consume({ max_messages: 10, idle_heartbeat: 1000 });
  same((await next(messages, 10)).map(text), numbers(10));
  await messages.close();
  const again = await streams.consumers.get("ANEW", { opt_start_seq: 6, deliver_policy: DeliverPolicy.StartSequence });
  const more = await again.consume({ idle_heartbeat: 1000, expires: 5000 });
  const found = [];
  for await (const message of more) {
    found.push(message.string());
    if (found.length === 5) {
      // Whoever deletes it is a stranger to the reader, who is to make another and go on where it was.
      const [{ name }] = await all_of(manager.consumers.list("ANEW"));
      await manager.consumers.delete("ANEW", name);
      await streams.publish("orders", "after");
    }
    if (found.length === 6) break;
  }
  same(found, [...numbers(5, 5), "after"]);
}

async function messages_are_pushed({ client, manager, streams }) {
  await manager.streams.add({ name: "PUSHED", subjects: ["orders.*"] });
  await publish_numbers(streams, "orders.1", 100);
  const deliver_subject = client.newInbox ? client.newInbox() : "deliver.here";
  await manager.consumers.add("PUSHED", { durable_name: "reader", deliver_subject, ack_policy: AckPolicy.Explicit, idle_heartbeat: 1_000_000_000, flow_control: true });
  const consumer = await streams.consumers.getPushConsumer("PUSHED", "reader");
  const messages = await consumer.consume();
  const found = await next(messages, 100);
  same(found.map(text), numbers(100));
  found.forEach((message) => message.ack());
  await until(async () => (await manager.consumers.info("PUSHED", "reader")).ack_floor.stream_seq === 100);
}

async function work_is_shared_and_done(all) {
  const consumer = await prepared(all, "DONE", 200, {}, { retention: RetentionPolicy.Workqueue });
  const other = await all.streams.consumers.get("DONE", "workers");
  const shares = await Promise.all([consumer, other].map((one) => all_of(one.fetch({ max_messages: 100 }))));
  const found = shares.flat().map((message) => message.seq).sort((left, right) => left - right);
  same(found, numbers(200, 1).map(Number));
  await Promise.all(shares.flat().map((message) => message.ackAck()));
  same((await all.manager.streams.info("DONE")).state.messages, 0);
}

async function deleted_consumer_ends_its_readers(all) {
  const consumer = await prepared(all, "READERS", 0);
  const messages = await consumer.consume({ abort_on_missing_resource: true, expires: 2000, idle_heartbeat: 500 });
  const reading = failed(all_of(messages));
  await until(async () => (await consumer.info()).num_waiting > 0);
  await all.manager.consumers.delete("READERS", "workers");
  same((await reading).message, "consumer deleted");
  await failed(consumer.info());
}

export const jobs = [
  messages_come_one_at_a_time,
  messages_are_fetched,
  fetches_are_bounded_by_bytes,
  messages_are_consumed_without_end,
  messages_are_consumed_by_a_callback,
  refused_messages_come_again,
  progress_keeps_messages,
  deliveries_end,
  consumers_start_where_they_are_told,
  consumers_are_listed_changed_and_deleted,
  paused_consumer_waits,
  ordered_consumer_reads_all,
  ordered_consumer_begins_anew,
  messages_are_pushed,
  work_is_shared_and_done,
  deleted_consumer_ends_its_readers,
];
