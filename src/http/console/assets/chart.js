// A line over the last two minutes.

import { h, setText, svg } from "./dom.js";
import { SECONDS } from "./figures.js";

const [WIDTH, HEIGHT] = [240, 48];

// A chart with the name `label`; `update` draws values, of which null leaves a gap, and says the latest to screen readers.
export function chart(label, kind) {
  const area = svg("path", { class: "area" });
  const line = svg("path", { class: "line" });
  const title = svg("title", {}, label);
  // The name of the picture says it too.
  const top = h("span", { class: "top-value", "aria-hidden": "true" });
  const element = h("div", { class: `chart ${kind}` }, svg("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img",
  }, title, svg("path", { class: "base", d: `M0 ${HEIGHT - 0.5}H${WIDTH}` }), area, line), top);
  const update = (values, spell) => {
    const known = values.filter((value) => value !== null);
    const highest = Math.max(1, ...known);
    setText(title, known.length === 0 ? `${label}: nothing yet` : `${label}: now ${spell(known.at(-1))}, at most ${spell(Math.max(...known))} in the last two minutes`);
    setText(top, known.length === 0 ? "" : `max ${spell(Math.max(...known))}`);
    const x = (place) => WIDTH - ((values.length - 1 - place) * WIDTH) / (SECONDS - 1);
    const y = (value) => HEIGHT - 2 - (value / highest) * (HEIGHT - 6);
    let [path, filled, isOpen, first] = ["", "", false, 0];
    values.forEach((value, place) => {
      if (value === null) {
        isOpen = false;
        return;
      }
      path += `${isOpen ? "L" : "M"}${x(place).toFixed(1)} ${y(value).toFixed(1)}`;
      if (!isOpen) first = place;
      isOpen = true;
      if (place === values.length - 1 || values[place + 1] === null) {
        // A value by itself is a dot.
        if (first === place) path += "h0";
        const run = path.slice(path.lastIndexOf("M"));
        filled += `${run}L${x(place).toFixed(1)} ${HEIGHT}L${x(first).toFixed(1)} ${HEIGHT}Z`;
      }
    });
    line.setAttribute("d", path);
    area.setAttribute("d", filled);
  };
  return { element, update };
}
