// One key: its type, its time to live and its value, each of which can be changed.

import { commandIn, pipeline, Refused } from "../api.js";
import { field, h, setText, show, table } from "../dom.js";
import { Bytes, bytes, count, millis } from "../format.js";

// Parts of a value that are shown at a time, and bytes of a string.
const PARTS = 100;
const STRING_BYTES = 65_536;

// How each type is read and changed.  `read` gives the rows of a page and where the next begins (null at the end), `fields`
// are what a new part consists of, `add` and `remove` make commands.
const TYPES = {
  hash: {
    size: "HLEN", columns: ["Field", "Value"], fields: ["Field", "Value"],
    read: async (ask, from) => ofScan(await ask("HSCAN", from ?? "0"), 2),
    add: (key, [name, value]) => ["HSET", key, name, value],
    remove: (key, [name]) => ["HDEL", key, name],
  },
  list: {
    size: "LLEN", columns: ["Element"], fields: ["Element"],
    read: async (ask, from) => {
      const start = Number(from ?? 0);
      const some = await ask("LRANGE", start, start + PARTS - 1);
      return { rows: some.map((one) => [one]), next: some.length === PARTS ? start + PARTS : null };
    },
    add: (key, [value]) => ["RPUSH", key, value],
    remove: (key, [value]) => ["LREM", key, 1, value],
  },
  set: {
    size: "SCARD", columns: ["Member"], fields: ["Member"],
    read: async (ask, from) => ofScan(await ask("SSCAN", from ?? "0"), 1),
    add: (key, [member]) => ["SADD", key, member],
    remove: (key, [member]) => ["SREM", key, member],
  },
  zset: {
    size: "ZCARD", columns: ["Member", "#Score"], fields: ["Member", "Score"],
    read: async (ask, from) => {
      const start = Number(from ?? 0);
      const some = await ask("ZRANGE", start, start + PARTS - 1, "WITHSCORES");
      return { rows: groups(some, 2), next: some.length === 2 * PARTS ? start + PARTS : null };
    },
    add: (key, [member, score]) => ["ZADD", key, score, member],
    remove: (key, [member]) => ["ZREM", key, member],
  },
};

const groups = (flat, size) => Array.from({ length: flat.length / size }, (_, place) => flat.slice(place * size, (place + 1) * size));

function ofScan([cursor, flat], size) {
  return { rows: groups(flat, size), next: cursor.text === "0" ? null : cursor.text };
}

// Shows `key` in `place`; `remove` is called to delete it.
export async function openValue(place, database, key, remove) {
  const message = h("p", { role: "status", class: "hint" });
  const run = async (words, done) => {
    try {
      const reply = await commandIn(database, ...words);
      setText(message, done);
      return reply;
    } catch (error) {
      setText(message, error.message);
      return error;
    }
  };
  const [type, left, memory, encoding] = await pipeline(database, [["TYPE", key], ["PTTL", key], ["MEMORY", "USAGE", key], ["OBJECT", "ENCODING", key]])
    .catch((error) => [error]);
  if (type instanceof Refused) return show(place, h("p", { class: "error", role: "alert" }, type.message));
  if (type.text === "none") return show(place, h("p", { role: "status" }, `${key.shown} does not exist any more.`));
  const again = () => openValue(place, database, key, remove);
  const facts = [type.shown, encoding?.shown, typeof memory === "number" ? bytes(memory) : null].filter(Boolean).join(", ");
  const value = h("div", {});
  show(place,
    h("h2", { class: "key", tabindex: "-1" }, key.shown === "" ? "(empty name)" : key.shown),
    h("p", { class: "hint" }, facts),
    lifetime(key, left, run, again), message, value,
    h("div", { class: "row" }, h("button", { type: "button", class: "danger", onclick: () => remove(key) }, "Delete the key …")));
  if (type.text === "string") return openString(value, database, key, run);
  if (TYPES[type.text]) return openParts(value, database, key, TYPES[type.text], run);
  return show(value, h("p", {}, "Values of this type cannot be shown here."));
}

// How long the key lives on, and a form to change that.
function lifetime(key, left, run, again) {
  const seconds = h("input", { type: "number", min: "1", step: "1", value: left >= 0 ? Math.ceil(left / 1000) : "", required: true });
  const set = async (words, done) => {
    if (!((await run(words, done)) instanceof Refused)) again();
  };
  return h("form", { class: "inline", onsubmit: (event) => { event.preventDefault(); set(["EXPIRE", key, seconds.value], "The time to live was set."); } },
    h("p", { class: "lifetime" }, left >= 0 ? `Lives on for ${millis(left)}.` : "Has no time to live."),
    h("div", { class: "row" }, field("Time to live in seconds", seconds),
      h("button", { type: "submit" }, "Set"),
      left >= 0 ? h("button", { type: "button", onclick: () => set(["PERSIST", key], "The key stays now.") }, "Remove") : null));
}

async function openString(place, database, key, run) {
  const [whole, text] = await pipeline(database, [["STRLEN", key], ["GETRANGE", key, 0, STRING_BYTES - 1]]);
  if (!(text instanceof Bytes)) return show(place, h("p", { class: "error" }, "The value is gone, or has another type now."));
  const isWhole = text.array.length === whole;
  const size = h("p", { class: "hint" }, isWhole ? bytes(whole) : `The first ${bytes(STRING_BYTES)} of ${bytes(whole)}.`);
  // Line ends of other systems would be changed by the browser.
  if (!isWhole || !text.isPlain || text.text.includes("\r")) {
    const why = isWhole ? "The value is not plain text, so it cannot be changed here." : "A value of this length cannot be changed here.";
    return show(place, size, h("pre", { class: "value", tabindex: "0", "aria-label": "Value" }, text.shown), h("p", { class: "hint" }, why));
  }
  const edited = h("textarea", { rows: "8", spellcheck: "false" });
  edited.value = text.text;
  return show(place, h("form", { onsubmit: (event) => { event.preventDefault(); run(["SET", key, Bytes.of(edited.value), "KEEPTTL", "XX"], "The value was saved."); } },
    field("Value", edited), size, h("div", { class: "row" }, h("button", { type: "submit" }, "Save the value"))));
}

// A page of the parts of a value, with a form for a new one.
function openParts(place, database, key, type, run) {
  const ask = (name, ...words) => commandIn(database, name, key, ...words);
  const parts = h("div", {});
  const size = h("p", { class: "hint" });
  const more = h("button", { type: "button" }, "Next page");
  const inputs = type.fields.map((name) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-label": name, placeholder: name }));
  const change = async (words, done) => {
    if (!((await run(words, done)) instanceof Refused)) load(null);
  };
  const add = h("form", { class: "row", "aria-label": "A new part", onsubmit: (event) => {
    event.preventDefault();
    change(type.add(key, inputs.map(({ value }) => value)), "It was written.");
  } }, inputs, h("button", { type: "submit" }, "Write"));
  show(place, size, parts, h("div", { class: "row" }, more), add);

  async function load(from) {
    try {
      const [length, { rows, next }] = await Promise.all([ask(type.size), type.read(ask, from)]);
      setText(size, `${count(length)} ${length === 1 ? "part" : "parts"}`);
      const remove = (row) => h("button", { type: "button", class: "small", "aria-label": `Remove ${row[0].shown}`, onclick: () => change(type.remove(key, row), "It was removed.") }, "Remove");
      show(parts, table("Value", [...type.columns, "Change"], rows.map((row) => [...row.map((one) => h("span", { class: "bytes" }, one.shown)), remove(row)]), "There is nothing on this page."));
      more.hidden = next === null;
      more.onclick = () => load(next);
    } catch (error) {
      show(parts, h("p", { class: "error", role: "alert" }, error.message));
    }
  }
  return load(null);
}
