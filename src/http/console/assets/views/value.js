// One key: its type, its time to live and its value, each of which can be changed.

import { commandIn, pipeline, Refused } from "../api.js";
import { field, h, renew, setText, show, table } from "../dom.js";
import { Bytes, bytes, count, cut, millis } from "../format.js";

// Parts of a value that are shown at a time, and bytes of a string.
const PARTS = 100;
const STRING_BYTES = 65_536;

// Characters of a part that are shown.
const PART_LENGTH = 2000;

// Takes one element out of a list if it still stands where it was seen.  Redis has no command for that, and LREM takes an
// equal one.  The third argument is a text that the list does not have.
const REMOVE_AT = `if redis.call("LINDEX", KEYS[1], ARGV[1]) ~= ARGV[2] then return 0 end
redis.call("LSET", KEYS[1], ARGV[1], ARGV[3])
return redis.call("LREM", KEYS[1], 1, ARGV[3])`;

const unique = () => Array.from(crypto.getRandomValues(new Uint32Array(4)), (number) => number.toString(16)).join("-");

// How each type is read and changed.  `read` gives the rows of a page of about so many parts and where the next begins (null at
// the end), `fields` are what a new part consists of, `add` and `remove` make commands; `start` is the number of the page's first
// part in a type that is in order.
const TYPES = {
  hash: {
    size: "HLEN", columns: ["Field", "Value"], fields: ["Field", "Value"],
    read: async (ask, from, parts) => ofScan(await ask("HSCAN", from ?? "0", "COUNT", parts), 2),
    add: (key, [name, value]) => ["HSET", key, name, value],
    remove: (key, [name]) => ["HDEL", key, name],
  },
  list: {
    size: "LLEN", columns: ["Element"], fields: ["Element"],
    read: async (ask, from, parts) => {
      const start = Number(from ?? 0);
      const some = await ask("LRANGE", start, start + parts - 1);
      return { rows: some.map((one) => [one]), start, next: some.length === parts ? start + parts : null };
    },
    add: (key, [value]) => ["RPUSH", key, value],
    remove: (key, [value], place) => ["EVAL", REMOVE_AT, 1, key, place, value, unique()],
  },
  set: {
    size: "SCARD", columns: ["Member"], fields: ["Member"],
    read: async (ask, from, parts) => ofScan(await ask("SSCAN", from ?? "0", "COUNT", parts), 1),
    add: (key, [member]) => ["SADD", key, member],
    remove: (key, [member]) => ["SREM", key, member],
  },
  zset: {
    size: "ZCARD", columns: ["Member", "#Score"], fields: ["Member", "Score"],
    read: async (ask, from, parts) => {
      const start = Number(from ?? 0);
      const some = await ask("ZRANGE", start, start + parts - 1, "WITHSCORES");
      return { rows: groups(some, 2), start, next: some.length === 2 * parts ? start + parts : null };
    },
    add: (key, [member, score]) => ["ZADD", key, score, member],
    remove: (key, [member]) => ["ZREM", key, member],
  },
};

const groups = (flat, size) => Array.from({ length: flat.length / size }, (_, place) => flat.slice(place * size, (place + 1) * size));

function ofScan([cursor, flat], size) {
  return { rows: groups(flat, size), next: cursor.text === "0" ? null : cursor.text };
}

// Reads a page.  Parts may be so long that a reply cannot hold so many: then it is shorter.
async function read(type, ask, from) {
  for (let parts = PARTS; ; parts /= 10) {
    try {
      return await type.read(ask, from, parts);
    } catch (error) {
      if (parts === 1 || error.status !== 400) throw error;
    }
  }
}

// Shows `key` in `place`; `remove` is called to delete it.
export async function openValue(place, database, key, remove) {
  const message = h("p", { role: "status", class: "hint" });
  // Runs a command and says how that went.  Unless it writes whatever there was, a reply of nothing or 0 means that
  // the value is no longer what was shown.  Returns whether it has done something.
  const run = async (words, done, { isWrite = false } = {}) => {
    try {
      const reply = await commandIn(database, ...words);
      const isDone = isWrite || (reply !== null && reply !== 0);
      setText(message, isDone ? done : "Nothing was changed: the value was changed meanwhile, or is gone.");
      return isDone;
    } catch (error) {
      setText(message, error.message);
      return false;
    }
  };
  const [type, left, memory, encoding] = await pipeline(database, [["TYPE", key], ["PTTL", key], ["MEMORY", "USAGE", key], ["OBJECT", "ENCODING", key]])
    .catch((error) => [error]);
  if (type instanceof Refused) return show(place, h("p", { class: "error", role: "alert" }, type.message));
  if (type.text === "none") return show(place, h("p", { role: "status" }, `${key.name} does not exist any more.`));
  const facts = [type.shown, encoding?.shown, typeof memory === "number" ? bytes(memory) : null].filter(Boolean).join(", ");
  const value = h("div", {});
  show(place,
    h("h2", { class: "key", tabindex: "-1" }, key.array.length === 0 ? key.name : cut(key.shown, PART_LENGTH)),
    h("p", { class: "hint" }, facts),
    lifetime(database, key, left, run), message, value,
    h("div", { class: "row" }, h("button", { type: "button", class: "danger", onclick: () => remove(key) }, "Delete the key …")));
  if (type.text === "string") return openString(value, database, key, run);
  if (TYPES[type.text]) return openParts(value, database, key, TYPES[type.text], run);
  return show(value, h("p", {}, "Values of this type cannot be shown here."));
}

// How long the key lives on, and a form to change that.
function lifetime(database, key, left, run) {
  const seconds = h("input", { type: "number", min: "1", step: "1", value: left >= 0 ? Math.ceil(left / 1000) : "", required: true });
  const said = h("p", { class: "lifetime" });
  const persist = h("button", { type: "button", onclick: () => set(["PERSIST", key], "The key stays now.") }, "Remove");
  const tell = (millisLeft) => {
    setText(said, millisLeft >= 0 ? `Lives on for ${millis(millisLeft)}.` : millisLeft === -1 ? "Has no time to live." : "The key does not exist any more.");
    if (millisLeft < 0 && document.activeElement === persist) seconds.focus();
    persist.hidden = millisLeft < 0;
  };
  const set = async (words, done) => {
    await run(words, done);
    const [now] = await pipeline(database, [["PTTL", key]]).catch((error) => [error]);
    if (!(now instanceof Refused)) tell(now);
  };
  tell(left);
  return h("form", { class: "inline", onsubmit: (event) => { event.preventDefault(); set(["EXPIRE", key, seconds.value], "The time to live was set."); } },
    said, h("div", { class: "row" }, field("Time to live in seconds", seconds), h("button", { type: "submit" }, "Set"), persist));
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
  // What somebody else has written meanwhile is not written over.
  let before = text;
  const save = async (event) => {
    event.preventDefault();
    const value = Bytes.of(edited.value);
    if (await run(["SET", key, value, "IFEQ", before, "KEEPTTL"], "The value was saved.")) before = value;
  };
  return show(place, h("form", { onsubmit: save },
    field("Value", edited), size, h("div", { class: "row" }, h("button", { type: "submit" }, "Save the value"))));
}

// A page of the parts of a value, with a form for a new one.
function openParts(place, database, key, type, run) {
  const ask = (name, ...words) => commandIn(database, name, key, ...words);
  const parts = h("div", {});
  const size = h("p", { class: "hint" });
  const more = h("button", { type: "button" }, "Next page");
  const inputs = type.fields.map((name) => h("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-label": name, placeholder: name }));
  let shownFrom = null;
  const change = async (words, done, options) => {
    await run(words, done, options);
    await load(shownFrom);
  };
  const add = h("form", { class: "row", "aria-label": "A new part", onsubmit: (event) => {
    event.preventDefault();
    change(type.add(key, inputs.map(({ value }) => value)), "It was written.", { isWrite: true });
  } }, inputs, h("button", { type: "submit" }, "Write"));
  show(place, size, parts, h("div", { class: "row" }, more), add);

  async function load(from) {
    shownFrom = from;
    try {
      const [length, { rows, next, start = 0 }] = await Promise.all([ask(type.size), read(type, ask, from)]);
      setText(size, `${count(length)} ${length === 1 ? "part" : "parts"}`);
      const remove = (row, place) => h("button", { type: "button", class: "small", "aria-label": `Remove ${row[0].name}`, onclick: () => change(type.remove(key, row, start + place), "It was removed.") }, "Remove");
      renew(parts, table("Value", [...type.columns, "Change"], rows.map((row, place) => [...row.map((one) => h("span", { class: "bytes" }, cut(one.shown, PART_LENGTH))), remove(row, place)]), { empty: "There is nothing on this page." }));
      more.hidden = next === null;
      more.onclick = () => load(next);
    } catch (error) {
      show(parts, h("p", { class: "error", role: "alert" }, error.message));
    }
  }
  return load(null);
}
