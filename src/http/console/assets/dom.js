// Makes elements, and changes those that are shown.  Text always becomes a text node and an attribute is set by its name, so
// no key, name or value is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

// An HTML element: `h("a", { href: "#/", onclick: go }, "text", other)`.  Attributes that are null or false are left out.
export function h(name, attributes, ...children) {
  return fill(document.createElement(name), attributes, children);
}

// The same for SVG.
export function svg(name, attributes, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes ?? {})) {
    if (name.startsWith("on")) {
      element[name] = value;
    } else if (value === true) {
      element.setAttribute(name, "");
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

// Shows `children` in `element` and nothing else.
export function show(element, ...children) {
  element.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined));
}

// Shows `children` in `element` like `show`, but leaves in place what is the same and changes what is alike.  So whoever reads a
// table that changes every second keeps the focus, the selection and the place.  Only for what is made anew each time: the
// elements that are shown are not those that were given.
export function renew(element, ...children) {
  const focused = document.activeElement;
  const hadFocus = element.contains(focused);
  renewChildren(element, children.flat().filter((child) => child !== null && child !== undefined));
  if (!hadFocus || document.activeElement === focused) return;
  // What had the focus was moved, or is gone: whoever goes by keyboard goes on where it was.
  (focused.isConnected ? focused : element.querySelector("[tabindex]") ?? element.closest("[tabindex]"))?.focus();
}

function renewChildren(element, wanted) {
  const keys = new Set(wanted.map(keyOf));
  for (const child of Array.from(element.childNodes)) if (!keys.has(keyOf(child))) child.remove();
  const kept = new Map(Array.from(element.children, (child) => [keyOf(child), child]));
  let at = element.firstChild;
  for (const child of wanted) {
    const key = keyOf(child);
    const same = key === undefined ? at : kept.get(key);
    kept.delete(key);
    if (same && isAlike(same, child)) {
      renewOne(same, child);
      if (same === at) at = at.nextSibling;
      else element.insertBefore(same, at);
    } else {
      element.insertBefore(child, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

// What a row of a table is known by.
const keyOf = (node) => node.dataset?.key;

const isAlike = (one, other) => one.nodeName === other.nodeName && keyOf(one) === keyOf(other);

const HANDLERS = ["onclick"];

function renewOne(old, fresh) {
  if (old.nodeType === Node.TEXT_NODE) {
    if (old.data !== fresh.data) old.data = fresh.data;
    return;
  }
  for (const { name } of Array.from(old.attributes)) if (!fresh.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  for (const name of HANDLERS) old[name] = fresh[name];
  renewChildren(old, Array.from(fresh.childNodes));
}

// Sets a text if it has changed, so that selections and screen readers are left alone.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

let lastId = 0;

// A field with its label.
export function field(label, control, hint) {
  control.id ||= `field-${++lastId}`;
  const note = hint ? h("small", { id: `${control.id}-hint` }, hint) : null;
  if (note) control.setAttribute("aria-describedby", note.id);
  return h("div", { class: "field" }, h("label", { for: control.id }, label), control, note);
}

// Columns that a phone has room for beside one another; rows of more are shown as blocks there.
const WIDTH_MAX = 3;

// A table that can be scrolled by keyboard if it is wider than the screen.  `columns` are headings, those that begin with
// `#` for numbers; `rows` are lists of cells, of which the first names its row, and the first `named` tell it from others.
export function table(caption, columns, rows, { empty = "There are none.", named = 1 } = {}) {
  const isNumber = columns.map((column) => column.startsWith("#"));
  const head = columns.map((column, place) =>
    h("th", { scope: "col", class: isNumber[place] ? "number" : null }, column.replace(/^#/, "")));
  const cells = (row) => row.map((cell, place) => {
    const attributes = { class: isNumber[place] ? "number" : null, "data-column": columns[place].replace(/^#/, "") };
    return place === 0 ? h("th", { scope: "row", ...attributes }, cell) : h("td", attributes, cell);
  });
  const name = (row) => row.slice(0, named).map((cell) => cell.textContent ?? cell).join("\n");
  const body = rows.map((row) => h("tr", { "data-key": name(row) }, cells(row)));
  if (rows.length === 0) body.push(h("tr", { class: "empty" }, h("td", { colspan: columns.length }, empty)));
  const isWide = columns.length > WIDTH_MAX;
  return h("div", { class: isWide ? "table wide" : "table", role: "group", "aria-label": caption, tabindex: "0" },
    h("table", {}, h("caption", {}, caption), h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
}

// Asks before something that cannot be taken back.  Resolves to true if the visitor agrees.  There is one question at a time: a
// button may be clicked twice before its question is there.
export function confirm(question, verb) {
  if (document.querySelector("dialog[open]")) return Promise.resolve(false);
  return new Promise((resolve) => {
    const dialog = h("dialog", { "aria-labelledby": "confirm-question" },
      h("form", { method: "dialog" },
        h("p", { id: "confirm-question" }, question),
        h("div", { class: "row" },
          h("button", { value: "yes", class: "danger" }, verb),
          h("button", { value: "no" }, "Cancel"))));
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}
