// The syntax of commands, from COMMAND DOCS: names for completion, and a line with the arguments.

import { command } from "./api.js";

let known = null;

// All commands by name, in capitals: `{ name, syntax, summary }`.
export function rows() {
  known ??= command("COMMAND", "DOCS").then(collect).catch((error) => {
    known = null;
    throw error;
  });
  return known;
}

function collect(reply) {
  const found = [];
  for (const [name, facts] of pairs(reply)) {
    const docs = new Map(pairs(facts));
    const inner = docs.get("subcommands");
    if (inner) found.push(...collect(inner));
    else found.push({ name: name.replace("|", " ").toUpperCase(), syntax: list(docs.get("arguments")), summary: text(docs.get("summary")) });
  }
  return found.sort((one, other) => (one.name < other.name ? -1 : 1));
}

// A map of RESP2: names and values in turns.
function pairs(flat) {
  const found = [];
  for (let place = 0; place + 1 < flat.length; place += 2) found.push([text(flat[place]), flat[place + 1]]);
  return found;
}

const text = (value) => value?.text ?? "";

function list(entries) {
  return (entries ?? []).map(one).join(" ");
}

function one(entry) {
  const facts = new Map(pairs(entry));
  const flags = (facts.get("flags") ?? []).map(text);
  const token = text(facts.get("token"));
  let said = body(facts);
  if (token && text(facts.get("type")) !== "pure-token") said = `${token} ${said}`;
  if (flags.includes("multiple")) {
    const again = flags.includes("multiple_token") || !token ? said : body(facts);
    said = `${said} [${again} ...]`;
  }
  return flags.includes("optional") ? `[${said}]` : said;
}

function body(facts) {
  const inner = facts.get("arguments");
  switch (text(facts.get("type"))) {
    case "pure-token": return text(facts.get("token"));
    case "oneof": return inner.map(one).join(" | ");
    case "block": return list(inner);
    default: return text(facts.get("display_text")) || text(facts.get("name"));
  }
}
