// Replies as redis-cli shows them.

import { Bytes } from "./format.js";

// Commands whose text is a status, which has no quotes.
const STATUSES = ["ping", "type"];

// The lines of a reply to a command with this name.
export function spell(reply, name) {
  if (reply instanceof Bytes && STATUSES.includes(name)) return reply.shown;
  // Texts of several lines that are made to be read.
  if (reply instanceof Bytes && ["info", "lolwut"].includes(name) && reply.text !== null) return reply.text;
  if (reply instanceof Bytes && /^(client|memory|latency|debug)$/.test(name) && reply.text?.includes("\n")) return reply.text;
  return lines(reply, "");
}

function lines(reply, indent) {
  if (reply === null) return "(nil)";
  if (typeof reply === "number" || typeof reply === "bigint") return `(integer) ${reply}`;
  if (reply instanceof Bytes) return reply.quoted;
  if (!Array.isArray(reply)) return String(reply);
  if (reply.length === 0) return "(empty array)";
  const width = String(reply.length).length;
  return reply.map((one, place) => {
    const number = `${String(place + 1).padStart(width)}) `;
    const text = lines(one, indent + " ".repeat(number.length));
    return `${place === 0 ? "" : indent}${number}${text}`;
  }).join("\n");
}

// The words of a line, with the quotes and escapes of redis-cli; null if a quote is not closed.
export function words(line) {
  const found = [];
  const pattern = /\s*(?:"((?:\\.|[^"\\])*)"|'((?:\\'|[^'])*)'|([^\s"']\S*))(?=\s|$)/gy;
  let end = 0;
  for (let match = pattern.exec(line); match; match = pattern.exec(line)) {
    end = pattern.lastIndex;
    const [, double, single, plain] = match;
    if (double !== undefined) found.push(unescape(double));
    else found.push(single === undefined ? plain : single.replaceAll("\\'", "'"));
  }
  return line.slice(end).trim() === "" ? found : null;
}

const ESCAPES = { n: 10, r: 13, t: 9, a: 7, b: 8 };

function unescape(text) {
  if (!text.includes("\\")) return text;
  const array = [];
  const encoder = new TextEncoder();
  for (const [, hex, escaped, other] of text.matchAll(/\\x([0-9a-fA-F]{2})|\\(.)|([^\\]+)/gsu)) {
    if (hex) array.push(Number.parseInt(hex, 16));
    else if (escaped !== undefined && ESCAPES[escaped]) array.push(ESCAPES[escaped]);
    else array.push(...encoder.encode(escaped ?? other));
  }
  return new Bytes(Uint8Array.from(array));
}
