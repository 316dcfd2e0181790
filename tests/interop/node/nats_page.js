// The page in which @nats-io/nats-core runs in a browser.
//
// The page tells the server it came from each step that has passed, then `end`, or what failed.

import { guard, load, servers, tell } from "/nats_loader.js";

await guard(async () => {
  const { play } = await import("/nats_steps.js");
  const nats = load("@nats-io/nats-core");
  await play(nats, () => nats.wsconnect({ servers: servers() }), tell);
});
