// Who waits for whom, drawn: an owner is a box, an arrow leads from one who waits to each that keeps something from it.
// Arrows that are part of a circle are marked; these never stand still in a running server, but deadlocks that were refused
// are drawn with the same function.

import { h, svg } from "./dom.js";
import { shown } from "./format.js";

// More would be too small to read; the table beside the graph has all.
const OWNERS_MAX = 40;

const [BOX_WIDTH, BOX_HEIGHT, GAP_X, GAP_Y] = [150, 34, 110, 26];
const NAME_LENGTH = 18;

// Draws edges `{ from, to, label }`.
export function draw(edges, title) {
  const names = [...new Set(edges.flatMap(({ from, to }) => [from, to]))];
  if (names.length === 0) return h("p", { class: "hint" }, "Nobody waits.");
  if (names.length > OWNERS_MAX) return h("p", { class: "hint" }, `${names.length} owners are too many to draw; the table shows them.`);
  const component = components(names, edges);
  const isCircle = ({ from, to }) => component.get(from) === component.get(to);
  const { place, width, height } = layout(names, edges, isCircle);
  const lines = edges.flatMap((edge) => arrow(place, edge, isCircle(edge)));
  const boxes = names.map((name) => {
    const { x, y } = place.get(name);
    const inCircle = edges.some((edge) => isCircle(edge) && (edge.from === name || edge.to === name));
    return svg("g", { class: inCircle ? "owner circle" : "owner", transform: `translate(${x} ${y})` },
      svg("title", {}, shown(name)),
      svg("rect", { width: BOX_WIDTH, height: BOX_HEIGHT, rx: 6 }),
      svg("text", { x: BOX_WIDTH / 2, y: BOX_HEIGHT / 2 + 5, "text-anchor": "middle" }, cut(name)));
  });
  const said = edges.slice(0, 10).map(({ from, to, label }) => `${shown(from)} waits for ${shown(to)} (${shown(label)})`).join("; ");
  return h("div", { class: "graph", tabindex: "0", role: "group", "aria-label": title },
    svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `${title}: ${said}` }, marker("arrow"), marker("arrow-circle"), lines, boxes));
}

const cut = (name) => (shown(name).length > NAME_LENGTH ? `${shown(name).slice(0, NAME_LENGTH - 1)}…` : shown(name));

function marker(id) {
  return svg("marker", { id, class: id, viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto-start-reverse" },
    svg("path", { d: "M0 0L8 4L0 8Z" }));
}

// Owners that reach one another have the same number: Tarjan's components, by two walks.
function components(names, edges) {
  const next = new Map(names.map((name) => [name, []]));
  const before = new Map(names.map((name) => [name, []]));
  for (const { from, to } of edges) {
    next.get(from).push(to);
    before.get(to).push(from);
  }
  const order = [];
  const seen = new Set();
  const walk = (start, neighbours, leave) => {
    const path = [[start, 0]];
    seen.add(start);
    while (path.length > 0) {
      const top = path.at(-1);
      const other = neighbours.get(top[0])[top[1]++];
      if (other === undefined) leave(path.pop()[0]);
      else if (!seen.has(other)) {
        seen.add(other);
        path.push([other, 0]);
      }
    }
  };
  for (const name of names) if (!seen.has(name)) walk(name, next, (left) => order.push(left));
  seen.clear();
  const component = new Map();
  order.reverse().forEach((name, number) => {
    if (!seen.has(name)) walk(name, before, (left) => component.set(left, number));
  });
  return component;
}

// Columns from those who wait on the left to those who hold on the right; an owner stands left of all that it waits for.
function layout(names, edges, isCircle) {
  const column = new Map(names.map((name) => [name, 0]));
  const straight = edges.filter((edge) => !isCircle(edge));
  for (let round = 0; round < names.length; round++) {
    let isDone = true;
    for (const { from, to } of straight) {
      if (column.get(to) <= column.get(from)) {
        column.set(to, column.get(from) + 1);
        isDone = false;
      }
    }
    if (isDone) break;
  }
  // Within a circle the columns follow the names' order, so that its arrows can be told apart.
  const rows = new Map();
  const place = new Map();
  let circle = 0;
  for (const name of names) {
    if (edges.some((edge) => isCircle(edge) && edge.from === name)) column.set(name, column.get(name) + (circle++ % 2));
    const row = rows.get(column.get(name)) ?? 0;
    rows.set(column.get(name), row + 1);
    place.set(name, { x: 10 + column.get(name) * (BOX_WIDTH + GAP_X), y: 10 + row * (BOX_HEIGHT + GAP_Y) });
  }
  const columns = Math.max(...column.values()) + 1;
  return { place, width: 20 + columns * BOX_WIDTH + (columns - 1) * GAP_X, height: 20 + Math.max(...rows.values()) * (BOX_HEIGHT + GAP_Y) - GAP_Y };
}

function arrow(place, { from, to, label }, inCircle) {
  const [start, end] = [place.get(from), place.get(to)];
  const goesRight = end.x > start.x;
  const isBelow = end.x === start.x;
  // Arrows there and back are kept apart.
  const aside = goesRight ? -6 : 6;
  const [x1, y1] = isBelow ? [start.x + BOX_WIDTH / 2, start.y + (end.y > start.y ? BOX_HEIGHT : 0)] : [start.x + (goesRight ? BOX_WIDTH : 0), start.y + BOX_HEIGHT / 2 + aside];
  const [x2, y2] = isBelow ? [end.x + BOX_WIDTH / 2, end.y + (end.y > start.y ? 0 : BOX_HEIGHT)] : [end.x + (goesRight ? 0 : BOX_WIDTH), end.y + BOX_HEIGHT / 2 + aside];
  const bend = goesRight ? -9 : 9;
  const [middleX, middleY] = [(x1 + x2) / 2, (y1 + y2) / 2 + bend];
  const name = inCircle ? "wait circle" : "wait";
  return [
    svg("path", { class: name, d: `M${x1} ${y1}Q${middleX} ${middleY} ${x2} ${y2}`, "marker-end": `url(#${inCircle ? "arrow-circle" : "arrow"})` }),
    svg("text", { class: name, x: middleX, y: middleY + (goesRight ? -3 : 11), "text-anchor": "middle" }, svg("title", {}, shown(label)), cut(label)),
  ];
}
