// The keys of a database, page by page, and one of them with its value.

import { commandIn, pipeline, Refused } from "../api.js";
import { confirm, field, h, renew, setText, show, table } from "../dom.js";
import { samples, watch } from "../figures.js";
import { Bytes, bytes, count, millis, percent } from "../format.js";
import { openValue } from "./value.js";

export const title = "Cache";

const PAGE = 50;
// Keys that one step of SCAN looks at, and steps for one page: a pattern that fits few keys must not walk the whole store.
const LOOKED_AT = 500;
const STEPS_MAX = 20;

// Where SCAN begins, and what it answers at the end.
const START = "0";

const TYPES = ["string", "hash", "list", "set", "zset"];

export function open(content, parameters) {
  const pattern = h("input", { type: "search", value: parameters.get("match") ?? "", placeholder: "*", autocapitalize: "off", spellcheck: "false" });
  const type = h("select", {}, h("option", { value: "" }, "any"), TYPES.map((name) => h("option", {}, name)));
  type.value = parameters.get("type") ?? "";
  const database = h("input", { type: "number", min: "0", max: "15", value: parameters.get("db") ?? "0" });
  const summary = h("p", { class: "summary" });
  const found = h("div", { class: "found" });
  const status = h("p", { role: "status", class: "hint" });
  const more = h("button", { type: "button", onclick: () => load(next) }, "Next page");
  const detail = h("div", { class: "detail" });
  // The cursors of SCAN at which the page that is shown begins, and the next one.
  let [began, next] = [START, START];
  let chosen = parameters.has("key") ? Bytes.ofHex(parameters.get("key")) : null;
  // The search that was begun last: the answer of one before it comes too late.
  let search = 0;

  const form = h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); load(START); } },
    field("Pattern", pattern), field("Type", type), field("Database", database),
    h("button", { type: "submit", class: "primary" }, "Search"));
  show(content, summary, form, h("div", { class: "split" },
    h("section", { "aria-label": "Keys" }, status, found, h("div", { class: "row" }, more)),
    h("section", { "aria-label": "The chosen key" }, detail)));

  const number = () => Number(database.value) || 0;

  // Shows the page of keys that begins there.
  async function load(cursor) {
    const own = ++search;
    let at = cursor;
    setText(status, "Searching …");
    more.hidden = true;
    try {
      const keys = [];
      const filter = [...(pattern.value ? ["MATCH", pattern.value] : []), ...(type.value ? ["TYPE", type.value] : [])];
      let steps = 0;
      do {
        const wanted = pattern.value || type.value ? LOOKED_AT : PAGE;
        const [following, some] = await commandIn(number(), "SCAN", at, ...filter, "COUNT", wanted);
        at = following.text;
        keys.push(...some);
        steps++;
      } while (at !== START && keys.length < PAGE && steps < STEPS_MAX);
      const known = await facts(keys);
      if (own !== search) return;
      [began, next] = [cursor, at];
      draw(keys, known);
      more.hidden = next === START;
      const rest = next === START ? "that is all" : "there may be more";
      setText(status, `${count(keys.length)} ${keys.length === 1 ? "key" : "keys"}, ${rest}.`);
    } catch (error) {
      if (own !== search) return;
      setText(status, error.message);
      show(found);
    }
  }

  // Type and time to live of each.
  async function facts(keys) {
    const asked = keys.flatMap((key) => [["TYPE", key], ["PTTL", key]]);
    const replies = asked.length > 0 ? await pipeline(number(), asked) : [];
    return keys.map((_, place) => replies.slice(2 * place, 2 * place + 2));
  }

  function draw(keys, known) {
    const rows = keys.map((key, place) => {
      const [type, left] = known[place];
      const isChosen = key.hex === chosen?.hex;
      const link = h("a", { href: address(key), class: "key", "aria-current": isChosen ? "true" : null, onclick: (event) => choose(event, key) }, key.name);
      return [link, type instanceof Bytes ? type.shown : "–", left >= 0 ? millis(left) : left === -1 ? "none" : "gone"];
    });
    renew(found, table("Keys", ["Key", "Type", "#Lives on for"], rows, { empty: "No key fits." }));
  }

  function address(key) {
    const query = new URLSearchParams({ db: number(), match: pattern.value, type: type.value, key: key.hex });
    return `#/cache?${query}`;
  }

  // Shows a key beside the page of keys, which stays.
  async function choose(event, key) {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    chosen = key;
    history.pushState(null, "", address(key));
    for (const link of found.querySelectorAll("a")) link.removeAttribute("aria-current");
    event.currentTarget.setAttribute("aria-current", "true");
    await openValue(detail, number(), key, remove);
    // On a phone it is below the keys.
    detail.querySelector("h2")?.focus();
  }

  // Takes the chosen key away, and shows the rest again.
  async function remove(key) {
    if (!(await confirm(`Delete ${key.name} with its value?`, "Delete"))) return;
    const deleted = await commandIn(number(), "DEL", key).catch((error) => error);
    const said = h("p", { role: "status", tabindex: "-1" }, deleted instanceof Refused ? deleted.message : `${key.name} was deleted.`);
    show(detail, said);
    said.focus();
    load(began);
  }

  if (chosen !== null) openValue(detail, number(), chosen, remove);
  else show(detail, h("p", { class: "hint" }, "Choose a key to see its value."));
  load(START);

  return watch(({ cache }) => {
    const limit = cache.memory_limit_bytes > 0 ? ` of ${bytes(cache.memory_limit_bytes)} (${cache.eviction_policy})` : "";
    setText(summary, `${count(cache.keys)} keys, ${count(cache.keys_with_ttl)} of them with a time to live; ${bytes(cache.memory_bytes)}${limit}; hit ratio ${percent(cache.hits, cache.hits + cache.misses)} since the start; ${count(cache.evicted)} evicted.`);
    if (samples.length < 2) database.max = String(cache.databases - 1);
  });
}
