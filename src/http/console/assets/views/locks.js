// Who holds which lock, who waits for it, and the deadlocks that were refused.

import { get, part, send } from "../api.js";
import { confirm, field, h, renew, setText, show, table } from "../dom.js";
import { watch } from "../figures.js";
import { count, millis, shown } from "../format.js";
import { draw } from "../graph.js";
import { refresh } from "../refresh.js";

export const title = "Locks";

const WAITS_MAX = 200;
const DEADLOCKS_SHOWN = 5;

export function open(content, parameters) {
  const summary = h("p", { class: "summary" });
  const pattern = h("input", { type: "search", value: parameters.get("match") ?? "", placeholder: "*", autocapitalize: "off", spellcheck: "false" });
  const message = h("p", { role: "status", class: "hint" });
  const [held, queue, graph, deadlocks] = [h("div"), h("div"), h("div"), h("div")];
  const more = h("button", { type: "button", hidden: true }, "Next page");
  const form = h("form", { class: "filters", role: "search", onsubmit: (event) => { event.preventDefault(); read(0); } },
    field("Pattern", pattern), h("button", { type: "submit", class: "primary" }, "Search"));
  show(content, summary, form, message, held, h("div", { class: "row" }, more),
    h("h2", {}, "Who waits for whom"), graph, queue,
    h("h2", {}, "Deadlocks that were refused"), deadlocks);

  let page = 0;
  // What was read last, and when: durations go on from there.
  let [known, at] = [null, 0];
  async function read(cursor) {
    page = cursor;
    const query = new URLSearchParams({ cursor, ...(pattern.value ? { match: pattern.value } : {}) });
    try {
      const [locks, waits, refused] = await Promise.all([get(`locks?${query}`), get(`locks/graph?count=${WAITS_MAX}`), get("locks/deadlocks")]);
      [known, at] = [{ locks: locks.locks, waits: waits.waits, deadlocks: refused.deadlocks }, performance.now()];
      more.hidden = locks.cursor === 0;
      more.onclick = () => read(locks.cursor);
      const edges = waits.waits.flatMap(({ owner, resource, blockers }) => blockers.map((to) => ({ from: owner, to, label: resource })));
      renew(graph, draw(edges, "Who waits for whom"));
      tell();
      setText(message, "");
    } catch (error) {
      setText(message, error.message);
    }
  }

  // Shows what is known with the time that has passed since.
  function tell() {
    if (known === null) return;
    const passed = performance.now() - at;
    renew(held, holders(known.locks, passed));
    renew(queue, waiting(known.waits, passed));
    renew(deadlocks, circles(known.deadlocks, passed));
  }

  const since = (duration, passed) => millis(Math.round(duration + passed));
  const until = (duration, passed) => millis(Math.max(0, Math.round(duration - passed)));

  function holders(locks, passed) {
    const rows = locks.flatMap(({ resource, holders: some, waiters }) => {
      const name = h("span", { class: "bytes" }, shown(resource));
      if (some.length === 0) return [[name, "–", "–", "–", "–", "–", count(waiters), ""]];
      return some.map((holder) => [
        name.cloneNode(true), h("span", { class: "bytes" }, shown(holder.owner)),
        holder.permits ? `${holder.permits} permits` : holder.mode, String(holder.fence),
        holder.expires_in_ms === undefined ? "with its session" : until(holder.expires_in_ms, passed), since(holder.held_ms, passed), count(waiters),
        h("button", { type: "button", class: "small danger", "aria-label": `Release ${shown(resource)} of ${shown(holder.owner)} by force`, onclick: () => force(resource, holder.owner) }, "Release …"),
      ]);
    });
    return table("Locks that are held or waited for", ["Resource", "Owner", "Mode", "#Fencing token", "#Lease lasts", "#Held for", "#Waiting", "Force"], rows, { empty: "No lock is held.", named: 2 });
  }

  function waiting(waits, passed) {
    const rows = waits.map(({ owner, resource, mode, place, waited_ms, left_ms, blockers }) => [
      h("span", { class: "bytes" }, shown(owner)), h("span", { class: "bytes" }, shown(resource)), mode, String(place + 1), since(waited_ms, passed), until(left_ms, passed),
      h("span", { class: "bytes" }, blockers.map(shown).join(", "))]);
    return table("Requests that wait", ["Owner", "Waits for", "Mode", "#Place", "#Waited", "#Gives up in", "Kept from it by"], rows, { empty: "Nobody waits.", named: 2 });
  }

  function circles(list, passed) {
    if (list.length === 0) return h("p", { class: "hint" }, "None since the server was started.");
    return list.slice(0, DEADLOCKS_SHOWN).map(({ age_ms, cycle }) => h("figure", {},
      h("figcaption", {}, `${since(age_ms, passed)} ago ${shown(cycle[0].owner)} was refused, since it would have waited for itself.`),
      draw(cycle.map(({ owner, waits_for }, place) => ({ from: owner, to: cycle[(place + 1) % cycle.length].owner, label: waits_for })), "A deadlock that was refused")));
  }

  async function force(resource, owner) {
    if (!(await confirm(`Take ${shown(resource)} away from ${shown(owner)}?  It learns of that when it renews or releases, and its fencing token is no longer current.`, "Take it away"))) return;
    try {
      const query = new URLSearchParams({ owner, reason: "released in the console" });
      await send("DELETE", `locks/${part(resource)}?${query}`);
      await read(page);
      setText(message, `${shown(resource)} was taken away from ${shown(owner)}.`);
    } catch (error) {
      setText(message, error.message);
    }
  }

  const sign = ({ locks }) => [locks.granted, locks.released, locks.renewed, locks.expired, locks.forced, locks.waiters, locks.timed_out, locks.deadlocks, locks.leases].join();
  const ends = [refresh(sign, () => read(page)), watch(({ locks }) => {
    tell();
    setText(summary, `${count(locks.leases)} held, ${count(locks.waiters)} waiting, ${count(locks.sessions)} sessions; since the start ${count(locks.granted)} were granted and ${count(locks.deadlocks)} refused for a deadlock.`);
  })];
  read(0);
  return () => ends.forEach((end) => end());
}
