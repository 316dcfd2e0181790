// Keys and values.

import { Kvm } from "@nats-io/kv";
import { all_of, failed, next, numbers, refused, same, until } from "./jobs.js";

const told = (entry) => [entry.key, entry.operation, entry.revision, entry.string()];

async function buckets_are_made_and_listed({ client }) {
  const buckets = new Kvm(client);
  const made = await buckets.create("LISTED", { history: 5, ttl: 3_600_000, description: "of all" });
  await made.put("a", "1");
  const status = await made.status();
  same([status.bucket, status.values, status.history, status.ttl], ["LISTED", 1, 5, 3_600_000]);
  await buckets.create("OTHERS");
  same((await all_of(buckets.list())).map(({ bucket }) => bucket).sort(), ["LISTED", "OTHERS"]);
  same((await (await buckets.open("LISTED")).get("a")).string(), "1");
  same(await made.destroy(), true);
  same((await all_of(buckets.list())).length, 1);
}

async function values_are_put_and_got({ client }) {
  const bucket = await new Kvm(client).create("GOT", { history: 3 });
  const everything = Uint8Array.from({ length: 256 }, (_, byte) => byte);
  const keys = ["a", "b.c", "d/e=f_g-h"];
  for (const [index, key] of keys.entries()) same(await bucket.put(key, everything), index + 1);
  for (const key of keys) same(Array.from((await bucket.get(key)).value), Array.from(everything));
  same(await bucket.put("a", "new"), 4);
  same(told(await bucket.get("a")), ["a", "PUT", 4, "new"]);
  same((await bucket.get("a", { revision: 1 })).length, 256);
  same(await bucket.get("nothing"), null);
}

async function values_are_created_and_updated({ client }) {
  const bucket = await new Kvm(client).create("UPDATED", { history: 3 });
  same(await bucket.create("a", "1"), 1);
  await refused(bucket.create("a", "2"), 400, 10071, "wrong last sequence: 1");
  same(await bucket.update("a", "2", 1), 2);
  await refused(bucket.update("a", "3", 1), 400, 10071, "wrong last sequence: 2");
  await bucket.delete("a");
  same(await bucket.create("a", "again"), 4);
  await refused(bucket.delete("a", { previousSeq: 1 }), 400, 10071, "wrong last sequence: 4");
}

async function values_are_deleted_and_purged({ client }) {
  const bucket = await new Kvm(client).create("PURGED", { history: 10 });
  for (const value of ["1", "2"]) for (const key of ["a", "b"]) await bucket.put(key, value);
  await bucket.delete("a");
  await bucket.purge("b");
  same(told(await bucket.get("a")), ["a", "DEL", 5, ""]);
  same((await all_of(bucket.history({ key: "a" }))).map(told), [["a", "PUT", 1, "1"], ["a", "PUT", 3, "2"], ["a", "DEL", 5, ""]]);
  same((await all_of(bucket.history({ key: "b" }))).map(told), [["b", "PURGE", 6, ""]]);
  same(await all_of(bucket.keys()), []);
}

async function keys_are_listed({ client }) {
  const bucket = await new Kvm(client).create("KEYS_LISTED");
  same(await all_of(bucket.keys()), []);
  const names = numbers(500, 1000).map((number) => `key.${number % 2}.${number}`);
  for (const name of names) await bucket.put(name, "x".repeat(100));
  await bucket.delete(names[0]);
  same((await all_of(bucket.keys())).sort(), names.slice(1).sort());
  same((await all_of(bucket.keys("key.1.*"))).length, 250);
  same((await all_of(bucket.keys(["key.0.1004", "key.1.*"]))).length, 251);
}

async function changes_are_watched({ client }) {
  const bucket = await new Kvm(client).create("WATCHED", { history: 3 });
  for (const [key, value] of [["a", "1"], ["b", "1"], ["a", "2"]]) await bucket.put(key, value);
  const watch = await bucket.watch();
  const entries = watch[Symbol.asyncIterator]();
  const entry = async () => told((await entries.next()).value);
  same([await entry(), await entry()], [["b", "PUT", 2, "1"], ["a", "PUT", 3, "2"]]);
  await bucket.put("c", "1");
  await bucket.delete("a");
  await bucket.purge("b");
  same([await entry(), await entry(), await entry()], [["c", "PUT", 4, "1"], ["a", "DEL", 5, ""], ["b", "PURGE", 6, ""]]);
  watch.stop();
}

async function some_changes_are_watched({ client }) {
  const bucket = await new Kvm(client).create("CHANGES_WATCHED", { history: 3 });
  for (const key of ["a.1", "b.1", "a.2", "a.1"]) await bucket.put(key, "x");
  const revisions = async (options, count) => {
    const watch = await bucket.watch(options);
    const found = (await next(watch, count)).map(({ revision, length }) => [revision, length]);
    watch.stop();
    return found;
  };
  same(await revisions({ key: "a.*" }, 2), [[3, 1], [4, 1]]);
  same(await revisions({ key: "a.1", include: "history" }, 2), [[1, 1], [4, 1]]);
  same(await revisions({ key: ["b.1", "a.2"] }, 2), [[2, 1], [3, 1]]);
  same(await revisions({ resumeFromRevision: 3 }, 2), [[3, 1], [4, 1]]);
  same((await revisions({ headers_only: true }, 3)).map(([revision]) => revision), [2, 3, 4]);
  const news = await bucket.watch({ include: "updates" });
  await bucket.put("new", "y");
  same((await next(news, 1)).map(told), [["new", "PUT", 5, "y"]]);
  news.stop();
}

async function markers_tell_of_the_end({ client }) {
  const bucket = await new Kvm(client).create("TELL", { markerTTL: 2_000 });
  const watch = await bucket.watch({ include: "updates" });
  same(await bucket.create("goes", "1", "1s"), 1);
  await bucket.put("stays", "1");
  same((await next(watch, 3)).map(told), [["goes", "PUT", 1, "1"], ["stays", "PUT", 2, "1"], ["goes", "PURGE", 3, ""]]);
  watch.stop();
  await until(async () => (await bucket.status()).values === 1);
  same(await bucket.get("goes"), null);
}

async function unknown_bucket_is_told({ client }) {
  const bucket = await new Kvm(client).open("NOBODY");
  await failed(bucket.put("a", "1"));
}

export const jobs = [
  buckets_are_made_and_listed,
  values_are_put_and_got,
  values_are_created_and_updated,
  values_are_deleted_and_purged,
  keys_are_listed,
  changes_are_watched,
  some_changes_are_watched,
  markers_tell_of_the_end,
  unknown_bucket_is_told,
];
