// All services at a glance: how much they are asked, how long they take, and what matters most of each.

import { chart } from "../chart.js";
import { h, renew, setText, show } from "../dom.js";
import { rateNow, rates, samples, watch } from "../figures.js";
import { bytes, brief, count, micros, millis, percent, rate } from "../format.js";

export const title = "Overview";

const read = (path) => (sample) => path.split(".").reduce((value, name) => value?.[name], sample);
const latest = (path) => read(path)(samples.at(-1));
const perSecond = (path) => `${rate(rateNow(read(path)))} /s`;

// The share of reads that found their key, in the last seconds if there were any.
function hitRatio() {
  const [hits, misses] = ["cache.hits", "cache.misses"].map((path) => rateNow(read(path)) ?? 0);
  return hits + misses > 0 ? percent(hits, hits + misses) : percent(latest("cache.hits"), latest("cache.hits") + latest("cache.misses"));
}

const limitOf = (limit) => (limit > 0 ? ` of ${bytes(limit)}` : ", no limit");

// Each service: its view, its throughput, and further figures as names and functions.  The server itself has no view.
const SERVICES = [
  {
    name: "cache", title: "Cache", what: "requests", throughput: read("traffic.cache.requests"),
    facts: [
      ["Keys", () => count(latest("cache.keys"))],
      ["Memory", () => `${bytes(latest("cache.memory_bytes"))}${limitOf(latest("cache.memory_limit_bytes"))}`],
      ["Hit ratio", hitRatio],
      ["Evicted", () => perSecond("cache.evicted")],
      ["Expired", () => perSecond("cache.expired")],
    ],
  },
  {
    name: "limits", title: "Limits", what: "requests", throughput: read("traffic.limits.requests"),
    facts: [
      ["Policies", () => count(latest("limits.policies"))],
      ["Allowed", () => perSecond("limits.allowed")],
      ["Refused", () => perSecond("limits.refused")],
      ["Waiting", () => count(latest("limits.waiting"))],
      ["Memory", () => bytes(latest("limits.memory_bytes"))],
    ],
  },
  {
    name: "locks", title: "Locks", what: "requests", throughput: read("traffic.locks.requests"),
    facts: [
      ["Held", () => count(latest("locks.leases"))],
      ["Waiting", () => count(latest("locks.waiters"))],
      ["Granted", () => perSecond("locks.granted")],
      ["Deadlocks refused", () => count(latest("locks.deadlocks"))],
      ["Sessions", () => count(latest("locks.sessions"))],
    ],
  },
  {
    name: "broker", title: "Broker", what: "messages in", throughput: read("broker.messages_in"),
    facts: [
      ["Messages out", () => perSecond("broker.messages_out")],
      ["Bytes out", () => `${bytes(rateNow(read("broker.bytes_out")) ?? 0)} /s`],
      ["Subscriptions", () => count(latest("broker.subscriptions"))],
      ["Slow consumers", () => count(latest("broker.slow_consumers"))],
      ["Waiting", () => bytes(latest("broker.waiting_bytes"))],
    ],
  },
  {
    name: "streams", title: "Streams", what: "messages stored", throughput: read("streams.stored"),
    facts: [
      ["Streams", () => count(latest("streams.streams"))],
      ["Messages", () => brief(latest("streams.messages"))],
      ["Bytes", () => bytes(latest("streams.bytes"))],
      ["Lag of consumers", () => count(latest("streams.pending"))],
      ["To be acknowledged", () => count(latest("streams.ack_pending"))],
    ],
  },
  {
    name: "server", title: "Server", what: "commands", throughput: read("server.commands"), hasNoView: true,
    facts: [
      ["Bytes in", () => `${bytes(rateNow(read("server.bytes_in")) ?? 0)} /s`],
      ["Bytes out", () => `${bytes(rateNow(read("server.bytes_out")) ?? 0)} /s`],
      ["Blocked clients", () => count(latest("server.blocked"))],
      ["Wrong passwords", () => count(latest("server.wrong_passwords"))],
    ],
  },
];

const SERVER = [
  ["Commands", () => perSecond("server.commands")],
  ["Connections", () => count(Object.values(latest("server.connections")).reduce((sum, one) => sum + one, 0))],
  ["Memory of the process", () => bytes(latest("server.resident_bytes"))],
  ["Processor", () => {
    const share = rateNow(read("server.cpu_seconds"));
    return share === null ? "–" : `${(share * 100).toFixed(0)} %`;
  }],
  ["Running for", () => millis(latest("server.uptime_ms"))],
];

function facts(list, name) {
  const values = list.map(([label, value]) => ({ value, cell: h("dd", {}, "–"), label }));
  const element = h("dl", { class: name }, values.map(({ label, cell }) => h("div", {}, h("dt", {}, label), cell)));
  return { element, update: () => values.forEach(({ value, cell }) => setText(cell, value())) };
}

function card(service) {
  const throughput = chart(`${service.title}: ${service.what} per second`, "throughput");
  const latency = chart(`${service.title}: 99th percentile of the durations`, "latency");
  const now = h("strong", {}, "–");
  const slow = h("strong", {}, "–");
  const known = () => samples.findLast((sample) => sample.traffic[service.name]?.p99_us != null)?.traffic[service.name];
  const list = facts([...service.facts, ["Median", () => micros(known()?.p50_us)]], "facts");
  const name = service.hasNoView ? service.title : h("a", { href: `#/${service.name}` }, service.title);
  const element = h("section", { class: `card ${service.name}`, "aria-labelledby": `card-${service.name}` },
    h("h2", { id: `card-${service.name}` }, name),
    h("div", { class: "pair" },
      h("div", {}, h("p", { class: "figure" }, now, ` ${service.what} /s`), throughput.element),
      h("div", {}, h("p", { class: "figure" }, slow, " p99"), latency.element)),
    list.element);
  const update = () => {
    const durations = samples.map((sample) => sample.traffic[service.name]?.p99_us ?? null);
    throughput.update(rates(service.throughput), rate);
    latency.update(durations.slice(1), micros);
    setText(now, rate(rateNow(service.throughput)));
    setText(slow, micros(known()?.p99_us));
    list.update();
  };
  return { element, update };
}

export function open(content) {
  const server = facts(SERVER, "server");
  const cards = SERVICES.map(card);
  const trouble = h("div", { role: "alert" });
  show(content, trouble, server.element, h("div", { class: "cards" }, cards.map(({ element }) => element)));
  return watch((sample) => {
    server.update();
    cards.forEach(({ update }) => update());
    const failure = sample.server.journal_failure;
    // Said once: what is the same is left alone.
    renew(trouble, failure ? h("p", { class: "error" }, `The journal cannot be written: ${failure}`) : null);
  });
}
