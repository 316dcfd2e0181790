// A box to run any command, with completion from the server's own table of commands.

import { commandIn, Refused } from "../api.js";
import { confirm, field, h, setText, show } from "../dom.js";
import { Bytes } from "../format.js";
import { spell, words } from "../replies.js";
import { rows } from "../syntax.js";

export const title = "Commands";

const SUGGESTIONS_MAX = 12;
const HISTORY_MAX = 200;
const REPLIES_MAX = 100;
const REPLY_LENGTH_MAX = 200_000;

// What was run before, the newest last, until the tab is closed.
const history = [];
const replies = [];

// Commands that take all data away are asked about first.
const DANGEROUS = /^(flushall|flushdb|shutdown|prefix\.del)$/i;

export function open(content, parameters) {
  const input = h("input", {
    id: "command", type: "text", role: "combobox", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
    "aria-autocomplete": "list", "aria-expanded": "false", "aria-controls": "suggestions", "aria-describedby": "syntax keys",
  });
  // Each command is a request of its own, so a SELECT would not last.
  const database = h("input", { type: "number", min: "0", value: parameters.get("db") ?? "0", class: "database" });
  const list = h("ul", { id: "suggestions", role: "listbox", "aria-label": "Commands", hidden: true });
  const syntax = h("p", { id: "syntax", class: "syntax" });
  const log = h("div", { class: "log", role: "log", "aria-label": "Replies", tabindex: "0" });
  const form = h("form", { class: "console-line", onsubmit: (event) => { event.preventDefault(); run(); } },
    h("label", { for: "command" }, "Command"),
    h("div", { class: "row" }, h("div", { class: "combobox" }, input, list), h("button", { type: "submit", class: "primary" }, "Run")),
    syntax,
    h("p", { id: "keys", class: "hint" }, "Tab or ↓ completes, ↑ brings back what was run before.  Commands for operators need the server's password."),
    field("Database", database));
  show(content, form, log);
  replies.forEach((entry) => log.append(entry));

  let all = [];
  let offered = [];
  let chosen = -1;
  let place = history.length;
  rows().then((found) => {
    all = found;
    suggest();
  }, (error) => setText(syntax, `There is no completion: ${error.message}`));

  // The commands that the line may be the beginning of, and the one whose arguments are being written.
  function suggest() {
    const line = input.value.trimStart().toUpperCase().replace(/\s+/g, " ");
    const whole = all.findLast(({ name }) => line === name || line.startsWith(`${name} `));
    offered = line === "" ? [] : all.filter(({ name }) => name.startsWith(line) && name !== line).slice(0, SUGGESTIONS_MAX);
    chosen = -1;
    const named = whole ?? (offered.length === 1 ? offered[0] : null);
    show(syntax, named ? [h("code", {}, `${named.name} ${named.syntax}`), ` ${named.summary}`] : null);
    draw();
  }

  function draw() {
    list.hidden = offered.length === 0;
    input.setAttribute("aria-expanded", String(offered.length > 0));
    show(list, offered.map(({ name, syntax: rest }, number) => h("li", {
      id: `suggestion-${number}`, role: "option", "aria-selected": String(number === chosen),
      onmousedown: (event) => { event.preventDefault(); take(number); },
    }, h("b", {}, name), ` ${rest}`)));
    if (chosen >= 0) {
      input.setAttribute("aria-activedescendant", `suggestion-${chosen}`);
      list.children[chosen].scrollIntoView({ block: "nearest" });
    } else {
      input.removeAttribute("aria-activedescendant");
    }
  }

  function take(number) {
    input.value = `${offered[number].name} `;
    suggest();
  }

  function close() {
    offered = [];
    chosen = -1;
    draw();
  }

  function recall(step) {
    place = Math.max(0, Math.min(history.length, place + step));
    input.value = history[place] ?? "";
    suggest();
    close();
  }

  input.addEventListener("input", suggest);
  input.addEventListener("blur", close);
  input.addEventListener("keydown", (event) => {
    const isOpen = offered.length > 0;
    if (event.key === "ArrowDown" && isOpen) chosen = (chosen + 1) % offered.length;
    else if (event.key === "ArrowUp" && isOpen && chosen >= 0) chosen -= 1;
    else if (event.key === "ArrowUp") return event.preventDefault(), recall(-1);
    else if (event.key === "ArrowDown") return event.preventDefault(), recall(1);
    else if (event.key === "Escape" && isOpen) return event.preventDefault(), close();
    // Without something to complete, Tab goes on to the next control as everywhere.
    else if (event.key === "Tab" && isOpen && !event.shiftKey) return event.preventDefault(), take(Math.max(chosen, 0));
    else if (event.key === "Enter" && chosen >= 0) return event.preventDefault(), take(chosen);
    else return undefined;
    event.preventDefault();
    return draw();
  });

  async function run() {
    const line = input.value.trim();
    if (line === "") return;
    close();
    const named = words(line);
    if (named && DANGEROUS.test(named[0].text ?? named[0]) && !(await confirm(`Run ${line}?`, "Run it"))) return;
    if (history.at(-1) !== line) history.push(line);
    if (history.length > HISTORY_MAX) history.shift();
    place = history.length;
    input.value = "";
    suggest();
    // It may wait for a lock, or for its turn under a limit.
    const reply = h("pre", {}, "…");
    const entry = h("div", { class: "entry" }, h("p", { class: "asked" }, `> ${line}`), reply);
    replies.unshift(entry);
    if (replies.length > REPLIES_MAX) replies.pop().remove();
    log.prepend(entry);
    input.focus();
    const { text, isError } = await answer(Number(database.value) || 0, named);
    setText(reply, text);
    reply.classList.toggle("error", isError);
  }

  if (parameters.has("run")) input.value = parameters.get("run");
  input.focus();
  return () => close();
}

async function answer(database, named) {
  if (named === null) return { text: "Invalid argument(s): a quote is not closed.", isError: true };
  try {
    const name = named[0] instanceof Bytes ? named[0].shown : named[0].toLowerCase();
    const text = spell(await commandIn(database, ...named), name);
    const isCut = text.length > REPLY_LENGTH_MAX;
    return { text: isCut ? `${text.slice(0, REPLY_LENGTH_MAX)}\n… (cut)` : text, isError: false };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return { text: error.status === 400 ? `(error) ${error.message}` : error.message, isError: true };
  }
}
