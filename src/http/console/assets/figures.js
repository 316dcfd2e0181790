// The figures of all services, which the server sends once a second (GET /figures).  While the page cannot be seen, nothing is
// asked for; after an interruption the page asks again, with pauses that grow.

import { Refused } from "./api.js";
import { read } from "./feed.js";

// Seconds that the charts show.
export const SECONDS = 120;

// A feed that says nothing for so long is given up: the server sends a sample a second.
const SILENCE_MAX = 10_000;
const PAUSES = [500, 1000, 2000, 4000, 8000];

// The samples that were received, the newest last.
export const samples = [];

const watchers = new Set();

// Whether the page wants figures, and the feed that brings them while somebody can see it.
let isWanted = false;
let feed = null;

// Tells the page how the feed is: `live`, `waiting` or `paused`.
export const state = new EventTarget();

function tell(word, detail) {
  state.dispatchEvent(new CustomEvent("change", { detail: { word, detail } }));
}

// Calls `watcher` with each new sample; the function that is returned ends that.
export function watch(watcher) {
  watchers.add(watcher);
  if (samples.length > 0) watcher(samples.at(-1));
  return () => watchers.delete(watcher);
}

// Begins to watch, or does so anew with another password.
export function start() {
  isWanted = true;
  attend();
}

// Ends it: there is nothing to see until somebody signs in.
export function stop() {
  isWanted = false;
  feed?.abort();
  feed = null;
}

// Opens the feed if the page can be seen, and else says why there is none.
function attend() {
  feed?.abort();
  feed = null;
  if (!isWanted) return;
  if (document.hidden) return tell("paused");
  feed = new AbortController();
  follow(feed.signal);
}

document.addEventListener("visibilitychange", attend);

async function follow(signal) {
  for (let attempt = 0; !signal.aborted; attempt++) {
    let why = "The connection has ended.";
    try {
      await listen(signal, () => { attempt = 0; });
    } catch (error) {
      // The page asks for the password, and starts anew with it.
      if (error.status === 401) return;
      if (error instanceof Refused) why = error.message;
    }
    if (signal.aborted) return;
    tell("waiting", why);
    const pause = PAUSES[Math.min(attempt, PAUSES.length - 1)];
    // Many consoles of one server should not come back at the same moment.
    await new Promise((resolve) => setTimeout(resolve, pause * (0.75 + Math.random() / 2)));
  }
}

async function listen(signal, heard) {
  const silent = new AbortController();
  const wait = () => setTimeout(() => silent.abort(), SILENCE_MAX);
  let timer = wait();
  signal.addEventListener("abort", () => silent.abort(), { once: true });
  try {
    await read("figures", silent.signal, (_, sample) => {
      heard();
      take(sample);
    }, () => {
      clearTimeout(timer);
      timer = wait();
    });
  } finally {
    clearTimeout(timer);
    // Whatever ended it, the connection must not stay open.
    silent.abort();
  }
}

function take(sample) {
  // After a restart the counts begin again.
  const last = samples.at(-1);
  if (last && sample.server.uptime_ms < last.server.uptime_ms) samples.length = 0;
  samples.push(sample);
  if (samples.length > SECONDS + 1) samples.shift();
  tell("live");
  for (const watcher of watchers) {
    // A view that fails is no reason to end the feed of the others.
    try {
      watcher(sample);
    } catch (error) {
      reportError(error);
    }
  }
}

// What `pick` finds in a sample has grown by, per second, up to each sample; null where that is not known.
export function rates(pick) {
  return samples.slice(1).map((sample, place) => {
    const before = samples[place];
    const seconds = secondsBetween(before, sample);
    const [now, then] = [pick(sample) ?? 0, pick(before) ?? 0];
    // CONFIG RESETSTAT makes a count fall.
    return seconds > 0 && now >= then ? (now - then) / seconds : null;
  });
}

// The last of these, over a few seconds so that it can be read.
export function rateNow(pick) {
  const last = samples.at(-1);
  const before = samples.at(-Math.min(samples.length, 4));
  if (!last || last === before) return null;
  const grown = (pick(last) ?? 0) - (pick(before) ?? 0);
  const seconds = secondsBetween(before, last);
  return grown < 0 || seconds <= 0 ? null : grown / seconds;
}

// By the clock that nobody sets: a sample's `time_ms` may jump.
const secondsBetween = (one, other) => (other.server.uptime_ms - one.server.uptime_ms) / 1000;
