// Streams with their consumers and how far these are behind, and the messages of a stream.  Streams are made, purged and deleted.

import { command, get, object, part, send } from "../api.js";
import { confirm, field, h, renew, setText, show, table } from "../dom.js";
import { rateNow, watch } from "../figures.js";
import { brief, Bytes, bytes, count, cut, rate, shown } from "../format.js";

export const title = "Streams";

const PAGE = 20;
const PAYLOAD_LENGTH = 2000;

export function open(content, parameters) {
  const summary = h("p", { class: "summary" });
  const partial = h("p", { class: "hint" });
  const said = h("p", { role: "status", class: "hint" });
  const [streams, consumers, messages] = [h("div"), h("div"), h("section", { "aria-label": "Messages" })];
  show(content, summary, partial, streams, said, consumers, messages, h("h2", {}, "Make a stream"), maker());
  let chosen = parameters.get("stream");
  const readMessages = () => browse(messages, chosen, parameters.get("from") ?? "first", parameters.get("subject") ?? "");
  if (chosen !== null) readMessages();

  async function purge(stream) {
    try {
      if (!(await confirm(`Remove all messages of ${shown(stream)}, ${await held(stream)} at this moment?  The stream and its consumers stay.`, "Remove them"))) return;
      const { purged } = await object(await send("POST", `streams/${part(stream)}/purge`, { body: {} }));
      setText(said, `${count(purged)} ${purged === 1 ? "message was" : "messages were"} removed from ${shown(stream)}.`);
      if (stream === chosen) await readMessages();
    } catch (error) {
      setText(said, error.message);
    }
  }

  async function remove(stream) {
    try {
      if (!(await confirm(`Delete ${shown(stream)} with all its messages, ${await held(stream)} at this moment, and its consumers?`, "Delete"))) return;
      await send("DELETE", `streams/${part(stream)}`);
      setText(said, `${shown(stream)} was deleted.`);
      if (stream !== chosen) return;
      // Its messages are shown no longer, and the address leads to the list.
      chosen = null;
      show(messages);
      history.replaceState(null, "", "#/streams");
    } catch (error) {
      setText(said, error.message);
    }
  }

  return watch(({ streams: all }) => {
    const isAll = all.streams === all.by_stream.length && all.consumers === all.by_stream.reduce((sum, { by_consumer }) => sum + by_consumer.length, 0);
    setText(partial, isAll ? "" : "These are the first by name; the box for commands has STREAM.LIST.");
    setText(summary, `${count(all.streams)} ${all.streams === 1 ? "stream" : "streams"} with ${brief(all.messages)} messages (${bytes(all.bytes)}); ${rate(rateNow((sample) => sample.streams.stored))} stored /s; consumers lag ${count(all.pending)} behind, ${count(all.ack_pending)} to be acknowledged.`);
    renew(streams, table("Streams", ["Stream", "#Messages", "#Bytes", "#First", "#Last", "#Subjects", "#Consumers", "Change"], all.by_stream.map((one) => [
      h("a", { href: address(one.stream, "first"), class: "bytes", "aria-current": one.stream === chosen ? "true" : null }, shown(one.stream)),
      count(one.messages), bytes(one.bytes), count(one.first), count(one.last), count(one.subjects), count(one.consumers), h("span", {},
        h("button", { type: "button", class: "small danger", "aria-label": `Purge ${shown(one.stream)}`, onclick: () => purge(one.stream) }, "Purge …"), " ",
        h("button", { type: "button", class: "small danger", "aria-label": `Delete ${shown(one.stream)}`, onclick: () => remove(one.stream) }, "Delete …"))]), { empty: "There is no stream yet." }));
    const rows = all.by_stream.flatMap(({ stream, by_consumer }) => by_consumer.map((one) => [
      shown(one.consumer), shown(stream), count(one.pending), count(one.ack_pending), count(one.redelivered), count(one.waiting)]));
    renew(consumers, table("Consumers", ["Consumer", "Stream", "#Lag", "#To be acknowledged", "#Delivered again", "#Requests waiting"], rows, { empty: "There is no consumer.", named: 2 }));
  });
}

// How many messages a stream has.  The figures would tell how many it had when they were taken.
const held = async (stream) => count((await get(`streams/${part(stream)}`)).state.messages);

// A form for a new stream.  The command leaves an existing stream as it is, and says so if that is another one.
function maker() {
  const name = h("input", { type: "text", required: true, autocapitalize: "off", spellcheck: "false" });
  const subjects = h("input", { type: "text", required: true, autocapitalize: "off", spellcheck: "false", placeholder: "orders.>" });
  const storage = h("select", {}, h("option", { value: "FILE" }, "on the disk"), h("option", { value: "MEMORY" }, "in memory"));
  const retention = h("select", {}, [["LIMITS", "until a limit"], ["INTEREST", "until all have it"], ["WORKQUEUE", "until one has it"]]
    .map(([value, words]) => h("option", { value }, words)));
  const most = h("input", { type: "number", min: "1", step: "1" });
  const seconds = h("input", { type: "number", min: "0.001", step: "any" });
  const answer = h("p", { role: "status", class: "hint" });
  const submit = async (event) => {
    event.preventDefault();
    const list = subjects.value.split(/\s+/).filter(Boolean);
    const limits = [...(most.value ? ["MAXMSGS", most.value] : []), ...(seconds.value ? ["MAXAGE", Math.round(Number(seconds.value) * 1000)] : [])];
    try {
      await command("STREAM.CREATE", name.value, "SUBJECTS", list.length, ...list, ...limits, "RETENTION", retention.value, "STORAGE", storage.value);
      setText(answer, `${shown(name.value)} keeps ${list.map(shown).join(", ")} from now on.`);
    } catch (error) {
      setText(answer, error.message);
    }
  };
  return h("form", { class: "filters", onsubmit: submit },
    field("Name", name), field("Subjects", subjects, "Separated by blanks; * stands for one word, > for all that follow"),
    field("Kept", storage), field("A message stays", retention, "A consumer has what it has acknowledged"), field("Messages at most", most), field("Seconds at most", seconds),
    h("button", { type: "submit", class: "primary" }, "Make the stream"), answer);
}

const address = (stream, from, subject = "") => `#/streams?${new URLSearchParams({ stream, from, subject })}`;

async function browse(place, stream, from, subject) {
  const start = h("input", { type: "text", value: from, required: true, autocapitalize: "off" });
  const filter = h("input", { type: "text", value: subject, placeholder: ">", autocapitalize: "off", spellcheck: "false" });
  const list = h("div");
  const form = h("form", { class: "filters", onsubmit: (event) => {
    event.preventDefault();
    location.hash = address(stream, start.value, filter.value);
  } }, field("From", start, "A sequence, a time, or “first”"), field("Subject", filter), h("button", { type: "submit", class: "primary" }, "Show"));
  show(place, h("h2", { class: "bytes", tabindex: "-1", "data-begin": true }, `Messages of ${shown(stream)}`), form, list);
  try {
    const query = new URLSearchParams({ from, limit: PAGE });
    if (subject !== "") query.append("subject", subject);
    const page = await get(`streams/${part(stream)}/messages?${query}`);
    const first = page.messages[0]?.sequence ?? page.next;
    const steps = h("p", { class: "row" },
      first > 1 ? h("a", { class: "button", href: address(stream, Math.max(1, first - PAGE), subject) }, "Previous") : null,
      page.is_more ? h("a", { class: "button", href: address(stream, page.next, subject) }, "Next") : null);
    show(list, page.messages.map(message), page.messages.length === 0 ? h("p", { class: "hint" }, "There is no message from here on.") : null, steps);
  } catch (error) {
    show(list, h("p", { class: "error", role: "alert" }, error.message));
  }
}

function message({ sequence, subject, time, payload, base64, headers }) {
  const text = base64 ? Bytes.ofBase64(base64).shown : payload ?? "";
  const named = Object.entries(headers ?? {}).flatMap(([name, values]) => [values].flat().map((value) => `${shown(name)}: ${shown(value)}`));
  return h("article", { class: "message" },
    h("h3", {}, `${sequence} `, h("span", { class: "bytes" }, shown(subject)), " ", h("time", { datetime: time }, new Date(time).toLocaleString())),
    named.length > 0 ? h("pre", { class: "headers" }, named.join("\n")) : null,
    h("pre", {}, cut(text, PAYLOAD_LENGTH)));
}
