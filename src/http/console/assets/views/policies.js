// The definitions of the rate limiter's policies: shown, made, changed and removed.

import { get, part, send } from "../api.js";
import { confirm, field, h, renew, setText, show, table } from "../dom.js";
import { count, millis, shown } from "../format.js";

const ALGORITHMS = ["gcra", "sliding", "log", "fixed", "leaky", "concurrency", "refill"];

// What a new policy begins with.
const EXAMPLE = { limits: [{ algorithm: "gcra", limit: 100, period_ms: 60_000 }] };

const spelled = (definition) => JSON.stringify(definition, null, 2);

// The table and the form.  `names` is told the names of all policies; `read` reads them again.
export function policies(names) {
  const definitions = h("div");
  const message = h("p", { role: "status", class: "hint" });
  const form = editor(() => read());

  async function read() {
    try {
      const all = await get("policies");
      names(all.map(({ name }) => name));
      renew(definitions, table("Definitions of the policies", ["Policy", "Limits", "Shadow", "#Allowed", "#Refused", "Change"], all.map(({ name, limits, shadow, statistics }) =>
        [shown(name), limits.map(limit).join("; "), shadow ? "yes" : "no", count(statistics.allowed), count(statistics.refused), h("span", {},
          h("button", { type: "button", class: "small", "aria-label": `Change ${shown(name)}`, onclick: () => form.open(name) }, "Change"), " ",
          h("button", { type: "button", class: "small danger", "aria-label": `Remove ${shown(name)}`, onclick: () => remove(name) }, "Remove …"))])));
    } catch (error) {
      renew(definitions, h("p", { class: "error", role: "alert" }, error.message));
    }
  }

  async function remove(name) {
    if (!(await confirm(`Remove the policy ${shown(name)}?  Checks that name it fail from then on; its counters end by themselves.`, "Remove"))) return;
    try {
      await send("DELETE", address(name));
      form.forget(name);
      setText(message, `${shown(name)} was removed.`);
    } catch (error) {
      setText(message, error.message);
    }
    await read();
  }

  return { elements: [definitions, message, h("h2", {}, "Make or change a policy"), form.element], read };
}

// A limit in words: `100 per 1 min (gcra)`.
function limit({ algorithm, limit: most, period_ms, scope, ...others }) {
  const period = period_ms ? ` per ${period_ms % 1000 === 0 ? millis(period_ms) : `${period_ms} ms`}` : "";
  const rest = others.burst ? `, burst ${others.burst}` : "";
  return `${count(most)}${period} (${algorithm}${rest}, by ${shown(typeof scope === "string" ? scope : JSON.stringify(scope))})`;
}

const address = (name) => `policies/${part(name)}`;

// What the server has under this name, as text; null if it has no such policy.
async function present(name) {
  try {
    const { name: _, statistics, waiting, ...definition } = await get(address(name));
    return spelled(definition);
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

// Why a definition is not saved: the server has not what the form was filled from.
function conflict(name, filledFrom, found) {
  if (found === null) return `${shown(name)} was removed meanwhile.  To save it once more makes it anew.`;
  const fate = filledFrom === null ? "is there already" : "was changed meanwhile";
  return `${shown(name)} ${fate}.  The button “Change” beside it shows what it says now.`;
}

// A form for a definition as JSON, with fields for its first limit.  `changed` is called after each change.
function editor(changed) {
  const name = h("input", { type: "text", required: true, autocapitalize: "off", spellcheck: "false" });
  const algorithm = h("input", { list: "algorithms", autocapitalize: "off", spellcheck: "false" });
  const most = h("input", { type: "number", min: "1", step: "1" });
  const seconds = h("input", { type: "number", min: "0.001", step: "any" });
  const text = h("textarea", { rows: "10", required: true, autocapitalize: "off", spellcheck: "false" });
  const message = h("p", { role: "status", class: "hint" });
  // Under which name the form was filled from the server, and with what.
  const NOTHING = { name: null, text: null };
  let opened = NOTHING;
  // What the text was when nobody had written anything that is not saved.
  let saved = spelled(EXAMPLE);

  const definition = () => {
    try {
      return JSON.parse(text.value);
    } catch {
      return null;
    }
  };
  const first = (whole) => {
    const found = whole?.limits?.[0];
    return typeof found === "object" ? found : null;
  };
  const fillFields = () => {
    const one = first(definition());
    algorithm.value = one?.algorithm ?? "";
    most.value = one?.limit ?? "";
    seconds.value = one?.period_ms ? one.period_ms / 1000 : "";
    for (const input of [algorithm, most, seconds]) input.disabled = one === null;
  };
  const fillText = () => {
    const whole = definition();
    const period = seconds.value === "" ? undefined : Math.round(Number(seconds.value) * 1000);
    Object.assign(first(whole), { algorithm: algorithm.value, limit: Number(most.value), period_ms: period });
    text.value = spelled(whole);
  };
  text.oninput = fillFields;
  for (const input of [algorithm, most, seconds]) input.oninput = fillText;
  text.value = saved;
  fillFields();

  // The policy was removed: to save what the form says makes it anew.
  const forget = (removed) => {
    if (opened.name === removed) opened = NOTHING;
  };
  const open = async (wanted) => {
    try {
      const found = await present(wanted);
      if (found === null) return setText(message, `There is no policy ${shown(wanted)} any more.`);
      const isLost = text.value !== saved;
      if (isLost && !(await confirm(`Show ${shown(wanted)} instead of what the form says?  That was not saved.`, "Show it"))) return;
      opened = { name: wanted, text: found };
      saved = found;
      [name.value, text.value] = [wanted, found];
      fillFields();
      setText(message, "");
      most.focus();
    } catch (error) {
      setText(message, error.message);
    }
  };
  const save = async (event) => {
    event.preventDefault();
    try {
      const wanted = name.value;
      const expected = opened.name === wanted ? opened.text : null;
      const found = await present(wanted);
      if (found !== expected) {
        if (found === null) forget(wanted);
        return setText(message, `Nothing was changed: ${conflict(wanted, expected, found)}`);
      }
      const body = text.value;
      await send("PUT", address(wanted), { body });
      saved = body;
      opened = { name: wanted, text: await present(wanted) };
      setText(message, `${shown(wanted)} holds from now on.`);
      await changed();
    } catch (error) {
      setText(message, error.message);
    }
  };
  const element = h("form", { class: "filters", onsubmit: save },
    h("datalist", { id: "algorithms" }, ALGORITHMS.map((value) => h("option", { value }))),
    field("Name", name), field("Algorithm", algorithm), field("How many", most), field("Period in seconds", seconds),
    h("div", { class: "whole" }, field("Definition", text, "All of it as JSON, whose first limit the fields above say: PUT /policies/{name} in /docs explains its members.")),
    h("button", { type: "submit", class: "primary" }, "Save the policy"), message);
  return { element, open, forget };
}
