// Subjects, connections, those that are slow, and a form to publish.

import { get, object, part, send } from "../api.js";
import { chart } from "../chart.js";
import { field, h, renew, setText, show, table } from "../dom.js";
import * as feed from "../feed.js";
import { rateNow, rates, watch } from "../figures.js";
import { Bytes, bytes, count, cut, rate, shown } from "../format.js";
import { refresh } from "../refresh.js";

export const title = "Broker";

// Lists are read up to these lengths; the counts above them are of all.
const SUBSCRIPTIONS_MAX = 500;
const CONNECTIONS_MAX = 200;

// Messages of a subject that are shown, the newest first, and characters of each.
const HEARD_MAX = 50;
const PAYLOAD_LENGTH = 500;

export function open(content, parameters) {
  const summary = h("p", { class: "summary" });
  const inwards = chart("Messages in per second", "throughput");
  const outwards = chart("Messages out per second", "latency");
  const [inNow, outNow] = [h("strong"), h("strong")];
  const message = h("p", { role: "status", class: "hint" });
  const [subjects, connections] = [h("div"), h("div")];
  const listening = listen(parameters.get("subject") ?? "");
  show(content, summary,
    h("div", { class: "card" }, h("div", { class: "pair" },
      h("div", {}, h("p", { class: "figure" }, inNow, " messages in /s"), inwards.element),
      h("div", {}, h("p", { class: "figure" }, outNow, " messages out /s"), outwards.element))),
    message, subjects, connections, h("h2", {}, "Publish"), publish(), h("h2", {}, "Listen"), listening.element);

  async function read() {
    try {
      const [found, open] = await Promise.all([
        get(`subsz?subs=1&limit=${SUBSCRIPTIONS_MAX}`), get(`connz?sort=pending&limit=${CONNECTIONS_MAX}`)]);
      const by = new Map();
      for (const { subject, qgroup, msgs } of found.subscriptions_list ?? []) {
        const sum = by.get(subject) ?? { subscribers: 0, messages: 0, groups: new Set() };
        sum.subscribers++;
        sum.messages += msgs ?? 0;
        if (qgroup) sum.groups.add(qgroup);
        by.set(subject, sum);
      }
      renew(subjects, table("Subjects with subscribers", ["Subject", "#Subscribers", "#Messages", "Groups"],
        [...by].map(([subject, sum]) => [h("span", { class: "bytes" }, shown(subject)), count(sum.subscribers), count(sum.messages), [...sum.groups].map(shown).join(", ")]), { empty: "Nobody is subscribed." }));
      renew(connections, table("Connections of the broker, those with the most waiting first", ["Client", "#Number", "Address", "#Subscriptions", "#Waiting", "#In", "#Out"],
        (open.connections ?? []).map((one) => [h("span", { class: "bytes" }, shown(one.name || "(no name)")), String(one.cid), `${one.ip}:${one.port}`, count(one.subscriptions), bytes(one.pending_bytes), count(one.in_msgs), count(one.out_msgs)]), { empty: "Nobody is connected.", named: 2 }));
      setText(message, "");
    } catch (error) {
      setText(message, error.message);
    }
  }

  const picks = [(sample) => sample.broker.messages_in, (sample) => sample.broker.messages_out];
  const ends = [
    refresh(({ broker, server }) => [broker.subscriptions, broker.messages_in, broker.slow_consumers, JSON.stringify(server.connections)].join(), read),
    watch(({ broker }) => {
      setText(summary, `${count(broker.subscriptions)} ${broker.subscriptions === 1 ? "subscription" : "subscriptions"}, those of consoles among them; ${count(broker.slow_consumers)} times a consumer was too slow, ${count(broker.messages_missed)} messages missed; ${bytes(broker.waiting_bytes)} waiting.`);
      inwards.update(rates(picks[0]), rate);
      outwards.update(rates(picks[1]), rate);
      setText(inNow, rate(rateNow(picks[0])));
      setText(outNow, rate(rateNow(picks[1])));
    }),
  ];
  ends.push(listening.stop);
  read();
  return () => ends.forEach((end) => end());
}

function publish() {
  const subject = h("input", { type: "text", required: true, autocapitalize: "off", spellcheck: "false", placeholder: "orders.new" });
  const payload = h("textarea", { rows: "3", spellcheck: "false" });
  const answer = h("p", { role: "status" });
  const submit = async (event) => {
    event.preventDefault();
    try {
      const response = await send("POST", `publish/${part(subject.value)}`, { body: payload.value, type: "text/plain" });
      const { receivers, stream, sequence } = await object(response);
      setText(answer, `${count(receivers)} ${receivers === 1 ? "receiver" : "receivers"} got it${stream ? `; stored in ${shown(stream)} as ${sequence}` : ""}.`);
    } catch (error) {
      setText(answer, error.message);
    }
  };
  return h("form", { class: "filters", onsubmit: submit }, field("Subject", subject), field("Payload", payload), h("button", { type: "submit", class: "primary" }, "Publish"), answer);
}

// A message that was heard, or how many were not.
function entry([kind, { subject, payload, base64, missed }]) {
  const text = base64 ? Bytes.ofBase64(base64).shown : payload ?? "";
  const [head, body] = kind === "gap" ? ["missed", `${count(missed)} messages`] : [shown(subject), cut(text, PAYLOAD_LENGTH)];
  return h("div", { class: "entry" }, h("p", {}, head), h("pre", {}, body));
}

// A form to hear the messages of a subject as they come.
function listen(beginning) {
  const pattern = h("input", { type: "text", required: true, autocapitalize: "off", spellcheck: "false", placeholder: "orders.>", value: beginning });
  const status = h("p", { role: "status", class: "hint" });
  const messages = h("div", { class: "log", role: "log", "aria-label": "Messages", tabindex: "0" });
  const end = h("button", { type: "button", hidden: true, onclick: () => stop() }, "Stop");
  let current = null;
  const say = (text) => {
    setText(status, text);
    end.hidden = current === null;
  };
  const stop = () => {
    current?.abort();
    current = null;
    say("");
  };
  const start = async (event) => {
    event.preventDefault();
    stop();
    const own = new AbortController();
    current = own;
    say(`Listening to ${shown(pattern.value)} …`);
    try {
      // Who cannot keep up misses messages and is told how many.
      await feed.read(`subscribe/${part(pattern.value)}?slow-consumer=drop-newest`, own.signal, heard);
      if (current === own) stop();
      say("The server has ended the feed.");
    } catch (error) {
      if (own.signal.aborted) return;
      current = null;
      say(error.message);
    }
  };
  // Messages come faster than anybody reads.  The last ones are shown once for each picture of the screen.
  let fresh = [];
  const draw = () => {
    messages.prepend(...fresh.reverse().map(entry));
    fresh = [];
    while (messages.children.length > HEARD_MAX) messages.lastChild.remove();
  };
  const heard = (kind, event) => {
    if (fresh.length === 0) requestAnimationFrame(draw);
    fresh.push([kind, event]);
    if (fresh.length > HEARD_MAX) fresh.shift();
  };
  const form = h("form", { class: "filters", onsubmit: start }, field("Pattern", pattern), h("button", { type: "submit", class: "primary" }, "Listen"), end, status);
  return { element: h("div", {}, form, messages), stop };
}
