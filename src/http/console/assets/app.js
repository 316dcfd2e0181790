// The page: its views, which of them the address names, and who is signed in.

import * as api from "./api.js";
import { h, setText, show } from "./dom.js";
import * as figures from "./figures.js";
import * as broker from "./views/broker.js";
import * as cache from "./views/cache.js";
import * as commands from "./views/commands.js";
import * as limits from "./views/limits.js";
import * as locks from "./views/locks.js";
import * as overview from "./views/overview.js";
import * as streams from "./views/streams.js";

// A view has a title and a function that fills the page and returns what ends it.  The name is that in the address.
const VIEWS = { overview, cache, locks, limits, broker, streams, commands };

const main = document.getElementById("main");
const views = document.getElementById("views");
const state = document.getElementById("state");
const login = document.getElementById("login");
const password = document.getElementById("password");
const loginError = document.getElementById("login-error");
const leave = document.getElementById("leave");

let end = null;

// The view and the parameters that the address names: `#/cache?key=61`.
function wanted() {
  const [name, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { name: Object.hasOwn(VIEWS, name) ? name : "overview", parameters: new URLSearchParams(query ?? "") };
}

function open(isFirst) {
  const { name, parameters } = wanted();
  end?.();
  const view = VIEWS[name];
  document.title = `${view.title} – Quartet`;
  for (const link of views.querySelectorAll("a")) {
    if (link.dataset.view === name) {
      link.setAttribute("aria-current", "page");
      // On a phone the views are a line that scrolls.
      link.scrollIntoView({ block: "nearest", inline: "nearest" });
    } else {
      link.removeAttribute("aria-current");
    }
  }
  const heading = h("h1", { tabindex: "-1" }, view.title);
  const content = h("div", { class: `view ${name}` });
  show(main, heading, content);
  end = view.open(content, parameters);
  // A screen reader goes on with the new view, or with the part of it that was asked for; at first it begins with the page.
  if (!isFirst && !content.contains(document.activeElement)) (content.querySelector("[data-begin]") ?? heading).focus();
}

function begin() {
  setText(loginError, "");
  leave.hidden = !api.hasPassword();
  open(true);
  figures.start();
}

show(views, h("ul", {}, Object.entries(VIEWS).map(([name, { title }]) =>
  h("li", {}, h("a", { href: `#/${name}`, "data-view": name }, title)))));

window.addEventListener("hashchange", () => open(false));

// The address names a view, so a jump to a part of the page must not change it.
document.getElementById("skip").addEventListener("click", (event) => {
  event.preventDefault();
  main.focus();
});

// Several requests may learn at once that a password is needed.
api.events.addEventListener("login", ({ detail }) => {
  figures.stop();
  end?.();
  end = null;
  show(main, h("h1", {}, "Quartet"), h("p", {}, "Sign in to see this server."));
  setText(state, "Signed out");
  state.className = "waiting";
  if (detail) setText(loginError, detail);
  api.forgetPassword();
  leave.hidden = true;
  if (!login.open) login.showModal();
  password.focus();
});

document.getElementById("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (password.value !== password.value.trim()) {
    setText(loginError, "HTTP cannot carry a password that begins or ends with a space.");
    return;
  }
  api.setPassword(password.value);
  password.value = "";
  try {
    // Any request tells whether the password is right.
    await api.command("PING");
    login.close();
    begin();
  } catch (error) {
    if (error.status !== 401) {
      setText(loginError, error.message);
      api.forgetPassword();
    }
  }
});

// Without a password there is nothing to go back to.
login.addEventListener("cancel", (event) => event.preventDefault());

leave.addEventListener("click", () => {
  api.forgetPassword();
  location.reload();
});

const WORDS = { live: "Live", waiting: "Reconnecting …", paused: "Paused" };

figures.state.addEventListener("change", ({ detail: { word, detail } }) => {
  if (login.open) return;
  setText(state, WORDS[word]);
  state.className = word;
  state.title = detail ?? "";
});

figures.watch((sample) => setText(document.getElementById("version"), sample.server.version));

// A server that is there answers sooner.
const PATIENCE = 3000;

// Finds out whether a password is needed before anything is shown.
const asked = api.command("PING");
const late = setTimeout(() => show(main, h("h1", {}, "Quartet"), h("p", { class: "notice", role: "status" },
  "The server has not answered yet.  A browser has six connections to a server at a time, and each tab that shows figures or " +
  "listens to a subject has one of them: if there are many tabs, close some.")), PATIENCE);
asked.catch(() => {}).then(() => clearTimeout(late));
asked.then(begin, (error) => {
  if (error.status === 401) return;
  show(main, h("h1", {}, "Quartet"), h("p", { class: "error", role: "alert" }, error.message));
  if (error.status === 0) setTimeout(() => location.reload(), 5000);
});
