// Streams: made, changed, listed, emptied, read by sequence and subject; and what publishers are told.

import { DiscardPolicy, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import { all_of, failed, numbers, publish_numbers, refused, same, text, until } from "./jobs.js";

async function account_tells_of_streams({ manager, streams }) {
  await manager.streams.add({ name: "STREAMS", subjects: ["orders"] });
  await streams.publish("orders", "hello");
  const account = await manager.getAccountInfo();
  same([account.streams, account.consumers, account.limits.max_streams], [1, 0, -1]);
  if (!(account.storage > 0)) throw new Error(JSON.stringify(account));
}

async function stream_is_made_and_changed({ manager, streams }) {
  const made = await manager.streams.add({
    name: "CHANGED",
    subjects: ["orders.>"],
    description: "what is ordered",
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_msgs: 1000,
    max_bytes: 1 << 20,
    max_age: 3_600_000_000_000,
    max_msg_size: 1 << 16,
    max_msgs_per_subject: 7,
    duplicate_window: 30_000_000_000,
    allow_direct: true,
    allow_rollup_hdrs: true,
    metadata: { owner: "sales" },
  });
  const { config } = made;
  same([config.max_msgs, config.max_bytes, config.max_age, config.max_msg_size], [1000, 1 << 20, 3_600_000_000_000, 1 << 16]);
  same([config.max_msgs_per_subject, config.duplicate_window, config.discard], [7, 30_000_000_000, "new"]);
  same([config.allow_direct, config.allow_rollup_hdrs, config.metadata.owner], [true, true, "sales"]);
  same([made.state.messages, made.state.first_seq, made.state.last_seq, made.state.consumer_count], [0, 0, 0, 0]);
  await streams.publish("orders.1", "x");
  // The library sends the whole definition back as it was told.
  const changed = await manager.streams.update("CHANGED", { description: "all of it", max_msgs: 500, subjects: ["orders.>", "returns"] });
  same([changed.config.description, changed.config.max_msgs, changed.config.subjects], ["all of it", 500, ["orders.>", "returns"]]);
  same(changed.config.max_msgs_per_subject, 7);
  same((await streams.publish("returns", "y")).seq, 2);
  await refused(manager.streams.update("NOBODY", { max_msgs: 1 }), 404, 10059, "stream not found");
}

async function streams_are_listed({ manager }) {
  const names = numbers(300, 1000).map((number) => `LIST${number}`);
  for (const name of names) await manager.streams.add({ name, subjects: [`${name}.>`], storage: StorageType.Memory });
  same(await all_of(manager.streams.names()), names);
  same((await all_of(manager.streams.list())).map((info) => info.config.name), names);
  same(await all_of(manager.streams.names("LIST1077.*")), ["LIST1077"]);
  same(await manager.streams.find("LIST1077.a"), "LIST1077");
  await failed(manager.streams.find("nowhere"));
}

async function info_counts_subjects_and_holes({ manager, streams }) {
  await manager.streams.add({ name: "HOLES", subjects: ["orders.>"] });
  for (const subject of ["orders.a", "orders.b", "orders.a"]) await publish_numbers(streams, subject, 2);
  await manager.streams.deleteMessage("HOLES", 3);
  await manager.streams.deleteMessage("HOLES", 4);
  const { state } = await manager.streams.info("HOLES", { subjects_filter: ">", deleted_details: true });
  same([state.messages, state.first_seq, state.last_seq, state.num_deleted], [4, 1, 6, 2]);
  same([state.subjects, state.deleted], [{ "orders.a": 4 }, [3, 4]]);
}

async function stream_is_purged({ manager, streams }) {
  await manager.streams.add({ name: "STREAM_PURGED", subjects: ["orders.*"] });
  await publish_numbers(streams, "orders.a", 5);
  await publish_numbers(streams, "orders.b", 5);
  same((await manager.streams.purge("STREAM_PURGED", { filter: "orders.a", keep: 1 })).purged, 4);
  same((await manager.streams.purge("STREAM_PURGED", { seq: 7 })).purged, 2);
  same((await manager.streams.purge("STREAM_PURGED")).purged, 4);
  same((await manager.streams.info("STREAM_PURGED")).state.first_seq, 11);
}

async function messages_are_got_and_deleted({ manager, streams }) {
  await manager.streams.add({ name: "GOT_DELETED", subjects: ["orders.*"] });
  const block = headers();
  block.append("Kind", "art");
  block.append("Kind", "music");
  await streams.publish("orders.a", "one", { headers: block });
  await streams.publish("orders.b", "");
  const one = await manager.streams.getMessage("GOT_DELETED", { seq: 1 });
  same([one.subject, one.seq, one.string(), one.header.values("Kind")], ["orders.a", 1, "one", ["art", "music"]]);
  const last = await manager.streams.getMessage("GOT_DELETED", { last_by_subj: "orders.*" });
  same([last.subject, last.seq, last.string()], ["orders.b", 2, ""]);
  same(await manager.streams.getMessage("GOT_DELETED", { last_by_subj: "orders.c" }), null);
  same(await manager.streams.deleteMessage("GOT_DELETED", 1), true);
  same(await manager.streams.deleteMessage("GOT_DELETED", 2, false), true);
  same((await manager.streams.info("GOT_DELETED")).state.messages, 0);
}

async function messages_are_got_directly({ manager, streams }) {
  await manager.streams.add({ name: "DIRECTLY", subjects: ["orders.*"], allow_direct: true });
  for (const number of numbers(10)) await streams.publish(`orders.${number % 3}`, number);
  const one = await manager.direct.getMessage("DIRECTLY", { seq: 4 });
  same([one.subject, one.seq, one.string(), one.stream], ["orders.0", 4, "3", "DIRECTLY"]);
  same((await manager.direct.getMessage("DIRECTLY", { last_by_subj: "orders.1" })).seq, 8);
  same((await manager.direct.getMessage("DIRECTLY", { seq: 5, next_by_subj: "orders.0" })).seq, 7);
  same(await manager.direct.getMessage("DIRECTLY", { seq: 99 }), null);
}

async function messages_are_got_in_batches({ manager, streams }) {
  await manager.streams.add({ name: "BATCHES", subjects: ["orders.*"], allow_direct: true });
  for (const number of numbers(100)) await streams.publish(`orders.${number % 4}`, number);
  const sequences = async (iterable) => (await all_of(iterable)).map((message) => message.seq);
  same(await sequences(manager.direct.getBatch("BATCHES", { seq: 5, batch: 3 })), [5, 6, 7]);
  same(await sequences(manager.direct.getBatch("BATCHES", { seq: 90, batch: 100, next_by_subj: "orders.1" })), [90, 94, 98]);
  same(await sequences(manager.direct.getLastMessagesFor("BATCHES", { multi_last: ["orders.>"] })), [97, 98, 99, 100]);
  same(await sequences(manager.direct.getLastMessagesFor("BATCHES", { multi_last: ["orders.0", "orders.2"], up_to_seq: 50 })), [47, 49]);
  const pending = (await all_of(manager.direct.getBatch("BATCHES", { seq: 1, batch: 4 }))).map((message) => message.pending);
  same(pending, [99, 98, 97, 96]);
}

async function publishes_are_acknowledged({ manager, streams }) {
  await manager.streams.add({ name: "ACKNOWLEDGED", subjects: ["orders.*"] });
  const first = await streams.publish("orders.1", "hello");
  same([first.stream, first.seq, first.duplicate], ["ACKNOWLEDGED", 1, false]);
  const sequences = (await publish_numbers(streams, "orders.2", 1000)).map(({ seq }) => seq);
  same(sequences, numbers(1000, 2).map(Number));
  same((await manager.streams.getMessage("ACKNOWLEDGED", { seq: 501 })).string(), "499");
  await failed(streams.publish("nowhere", "?"));
}

async function ids_are_stored_once({ manager, streams }) {
  await manager.streams.add({ name: "ONCE", subjects: ["orders.*"] });
  const publish = async (msgID) => {
    const { seq, duplicate } = await streams.publish("orders.1", "x", { msgID });
    return [seq, duplicate];
  };
  same([await publish("a"), await publish("b"), await publish("a")], [[1, false], [2, false], [1, true]]);
  same((await manager.streams.info("ONCE")).state.messages, 2);
}

async function expectations_are_checked({ manager, streams }) {
  await manager.streams.add({ name: "CHECKED", subjects: ["orders.*"] });
  await streams.publish("orders.1", "x", { msgID: "a", expect: { lastSubjectSequence: 0 } });
  const wrong = [
    [{ streamName: "OTHER" }, 10060, "expected stream does not match"],
    [{ lastSequence: 7 }, 10071, "wrong last sequence: 1"],
    [{ lastSubjectSequence: 7 }, 10071, "wrong last sequence: 1"],
    [{ lastMsgID: "b" }, 10070, "wrong last msg ID: a"],
  ];
  for (const [expect, err_code, text] of wrong) await refused(streams.publish("orders.1", "x", { expect }), 400, err_code, text);
  const right = [{ streamName: "CHECKED" }, { lastSequence: 2 }, { lastSubjectSequence: 3 }];
  for (const [index, expect] of right.entries()) same((await streams.publish("orders.1", "x", { expect })).seq, index + 2);
}

async function limits_refuse({ manager, streams }) {
  await manager.streams.add({ name: "REFUSE", subjects: ["orders"], max_msgs: 2, max_msg_size: 10, discard: DiscardPolicy.New });
  await refused(streams.publish("orders", "x".repeat(11)), 400, 10054, "message size exceeds maximum allowed");
  await publish_numbers(streams, "orders", 2);
  await refused(streams.publish("orders", "x"), 503, 10077, "maximum messages exceeded");
}

async function lifetimes_end_messages({ manager, streams }) {
  await manager.streams.add({ name: "LIFETIMES_MESSAGES", subjects: ["orders.*"], allow_msg_ttl: true, subject_delete_marker_ttl: 1_000_000_000 });
  await streams.publish("orders.stays", "1");
  await streams.publish("orders.goes", "2", { ttl: "1s" });
  const marker = await until(async () => {
    const message = await manager.streams.getMessage("LIFETIMES_MESSAGES", { last_by_subj: "orders.goes" });
    return message?.seq === 3 ? message : null;
  });
  same([marker.header.get("Nats-Marker-Reason"), marker.string()], ["MaxAge", ""]);
  await until(async () => (await manager.streams.info("LIFETIMES_MESSAGES")).state.messages === 1);
  same((await manager.streams.getMessage("LIFETIMES_MESSAGES", { seq: 1 })).string(), "1");
}

async function rollups_replace({ manager, streams }) {
  await manager.streams.add({ name: "REPLACE", subjects: ["orders.*"], allow_rollup_hdrs: true });
  await publish_numbers(streams, "orders.a", 3);
  await publish_numbers(streams, "orders.b", 3);
  const rollup = (kind) => {
    const block = headers();
    block.set("Nats-Rollup", kind);
    return { headers: block };
  };
  await streams.publish("orders.a", "sum", rollup("sub"));
  same((await manager.streams.info("REPLACE")).state.messages, 4);
  await streams.publish("orders.a", "all", rollup("all"));
  const { state } = await manager.streams.info("REPLACE");
  same([state.messages, state.first_seq], [1, 8]);
  same(text(await manager.streams.getMessage("REPLACE", { seq: 8 })), "all");
}

export const jobs = [
  account_tells_of_streams,
  stream_is_made_and_changed,
  streams_are_listed,
  info_counts_subjects_and_holes,
  stream_is_purged,
  messages_are_got_and_deleted,
  messages_are_got_directly,
  messages_are_got_in_batches,
  publishes_are_acknowledged,
  ids_are_stored_once,
  expectations_are_checked,
  limits_refuse,
  lifetimes_end_messages,
  rollups_replace,
];
