// Objects.

import { Objm } from "@nats-io/obj";
import { headers } from "@nats-io/nats-core";
import { failed, next, same } from "./jobs.js";

/** Several chunks, the last of them short. */
const LARGE = Uint8Array.from({ length: 500_001 }, (_, index) => (index * 7) % 251);

const bytes = (text) => new TextEncoder().encode(text);

function equal(found, expected) {
  if (found.length !== expected.length || found.some((byte, index) => byte !== expected[index])) throw new Error("other bytes");
}

async function objects_are_put_and_got({ client }) {
  const bucket = await new Objm(client).create("PUT_GOT");
  const info = await bucket.putBlob({ name: "large" }, LARGE);
  same([info.size, info.chunks, info.bucket, info.deleted ?? false], [LARGE.length, 4, "PUT_GOT", false]);
  await bucket.putBlob({ name: "nothing" }, new Uint8Array(0));
  const block = headers();
  block.set("Kind", "short");
  await bucket.putBlob({ name: "text", description: "words", headers: block, options: { max_chunk_size: 2 } }, bytes("hello"));
  equal(await bucket.getBlob("large"), LARGE);
  equal(await bucket.getBlob("nothing"), new Uint8Array(0));
  equal(await bucket.getBlob("text"), bytes("hello"));
  const told = await bucket.info("text");
  same([told.description, told.chunks, told.headers.get("Kind")], ["words", 3, "short"]);
  same(await bucket.getBlob("none"), null);
  const { data, error } = await bucket.get("large");
  let length = 0;
  for await (const part of data) length += part.length;
  same([length, await error], [LARGE.length, null]);
}

async function objects_are_replaced_and_deleted({ client }) {
  const bucket = await new Objm(client).create("REPLACED_DELETED");
  await bucket.putBlob({ name: "a" }, LARGE);
  await bucket.putBlob({ name: "a" }, bytes("short"));
  equal(await bucket.getBlob("a"), bytes("short"));
  same((await bucket.status()).streamInfo.state.messages, 2);
  await bucket.delete("a");
  same([await bucket.getBlob("a"), (await bucket.info("a")).deleted], [null, true]);
}

async function objects_are_listed_and_renamed({ client }) {
  const buckets = new Objm(client);
  const bucket = await buckets.create("RENAMED");
  for (const name of ["a", "b", "a name with blanks.txt"]) await bucket.putBlob({ name }, bytes(name));
  await bucket.delete("b");
  await bucket.update("a", { name: "c", description: "was a" });
  same((await bucket.list()).map(({ name }) => name).sort(), ["a name with blanks.txt", "c"]);
  equal(await bucket.getBlob("c"), bytes("a"));
  await bucket.link("to c", await bucket.info("c"));
  equal(await bucket.getBlob("to c"), bytes("a"));
}

async function objects_are_watched({ client }) {
  const bucket = await new Objm(client).create("OBJECTS_WATCHED");
  await bucket.putBlob({ name: "a" }, bytes("1"));
  const watch = await bucket.watch({ includeHistory: true });
  await bucket.putBlob({ name: "b" }, LARGE);
  await bucket.delete("a");
  // Nothing stands between what was there and what is new.
  const told = (await next(watch, 3)).map(({ name, size, deleted }) => [name, size, deleted ?? false]);
  same(told, [["a", 1, false], ["b", LARGE.length, false], ["a", 0, true]]);
  watch.stop();
}

async function sealed_objects_stay({ client }) {
  const buckets = new Objm(client);
  const bucket = await buckets.create("STAY");
  await bucket.putBlob({ name: "a" }, LARGE);
  same((await bucket.seal()).sealed, true);
  await failed(bucket.putBlob({ name: "b" }, bytes("x")));
  equal(await bucket.getBlob("a"), LARGE);
  same(await bucket.destroy(), true);
  await failed(buckets.open("STAY").then((gone) => gone.status()));
}

export const jobs = [
  objects_are_put_and_got,
  objects_are_replaced_and_deleted,
  objects_are_listed_and_renamed,
  objects_are_watched,
  sealed_objects_stay,
];
