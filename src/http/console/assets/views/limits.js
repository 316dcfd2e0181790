// The policies of the rate limiter with their decisions, the keys that are refused most, a form to try a check, and the definitions.

import { object, Refused, send } from "../api.js";
import { field, h, renew, setText, show, table } from "../dom.js";
import { rateNow, watch } from "../figures.js";
import { Bytes, bytes, count, millis, rate, shown } from "../format.js";
import { refresh } from "../refresh.js";
import { policies } from "./policies.js";

export const title = "Limits";

export function open(content, parameters) {
  const summary = h("p", { class: "summary" });
  const decisions = h("div");
  const refused = h("div");
  const names = h("datalist", { id: "policies" });
  const defined = policies((all) => show(names, all.map((value) => h("option", { value }))));
  show(content, summary, decisions, refused,
    h("h2", {}, "Try a check"), check(parameters, names), defined.elements);

  const ends = [
    refresh(({ limits }) => [limits.policies, ...limits.by_policy.map(({ policy }) => policy)].join(), defined.read),
    watch(({ limits }) => {
      const more = limits.policies > limits.by_policy.length ? `, of which the first ${limits.by_policy.length} are live here` : "";
      setText(summary, `${count(limits.policies)} ${limits.policies === 1 ? "policy" : "policies"}${more}; counters take ${bytes(limits.memory_bytes)}.`);
      renew(decisions, table("Decisions", ["Policy", "#Allowed /s", "#Refused /s", "#Allowed", "#Refused", "#In shadow", "#Waiting"], limits.by_policy.map((one) => {
        const of = (name) => rateNow((sample) => sample.limits.by_policy.find(({ policy }) => policy === one.policy)?.[name]);
        return [shown(one.policy), rate(of("allowed")), rate(of("refused")), count(one.allowed), count(one.refused), count(one.shadow_refused), count(one.waiting)];
      })));
      const top = limits.by_policy.flatMap(({ policy, top: keys }) => keys.map((one) => ({ policy, ...one }))).sort((one, other) => other.refused - one.refused);
      const rows = top.map((one) => [keyOf(one), shown(one.policy), count(one.refused)]);
      renew(refused, table("Keys that are refused most", ["Key", "Policy", "#Refused, at most"], rows, { empty: "No key was refused.", named: 2 }));
    }),
  ];
  return () => ends.forEach((end) => end());
}

function keyOf({ key, encoding, is_cut }) {
  const text = encoding === "base64" ? Bytes.ofBase64(key).shown : shown(key);
  return h("span", { class: "bytes" }, is_cut ? `${text}…` : text);
}

function check(parameters, names) {
  const policy = h("input", { list: "policies", value: parameters.get("policy") ?? "default", required: true, autocapitalize: "off", spellcheck: "false" });
  const key = h("input", { type: "text", value: parameters.get("key") ?? "somebody", required: true, autocapitalize: "off", spellcheck: "false" });
  const cost = h("input", { type: "number", min: "0", value: "1", required: true });
  const takes = h("input", { type: "checkbox", id: "takes" });
  const answer = h("div", { role: "status", class: "answer" });
  const submit = async (event) => {
    event.preventDefault();
    const body = { checks: [{ policy: policy.value, key: key.value, cost: Number(cost.value) }], peek: !takes.checked };
    try {
      const response = await send("POST", "check", { body });
      told(await object(response), true);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      if (error.status === 429 && error.problem.retry_after_ms !== undefined) told(error.problem, false);
      else show(answer, h("p", { class: "error" }, error.message));
    }
  };
  const told = (facts, isAllowed) => show(answer,
    h("p", { class: isAllowed ? "good" : "error" }, isAllowed ? "Allowed." : "Refused."),
    h("dl", { class: "facts" }, [
      ["Limit", count(facts.limit)], ["Remaining", count(facts.remaining)],
      ["Try again in", facts.retry_after_ms >= 0 ? millis(facts.retry_after_ms) : "–"], ["All is back in", millis(facts.reset_after_ms)],
      ["Decided by", shown(facts.policy ?? policy.value)],
    ].map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)))));
  return h("form", { class: "filters", onsubmit: submit }, names,
    field("Policy", policy), field("Key", key), field("Cost", cost),
    h("p", { class: "check" }, takes, h("label", { for: "takes" }, "Take the cost, instead of only looking")),
    h("button", { type: "submit", class: "primary" }, "Check"), answer);
}
