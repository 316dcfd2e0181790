// A feed of server-sent events, read with the password in a header, which EventSource cannot send.

import { send } from "./api.js";

// Reads the feed at `path` until it ends or `signal` is aborted.  Calls `heard` with the kind and the object of each event,
// and `alive` with whatever comes, heartbeats included.
export async function read(path, signal, heard, alive = () => {}) {
  const response = await send("GET", path, { signal, accept: "text/event-stream" });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    text += value;
    const events = text.split("\n\n");
    text = events.pop();
    for (const event of events) {
      const lines = event.split("\n").map((line) => line.split(/: (.*)/s));
      const [, kind] = lines.find(([name]) => name === "event") ?? [];
      const [, data] = lines.find(([name]) => name === "data") ?? [];
      if (kind && data) heard(kind, JSON.parse(data));
    }
  }
}
