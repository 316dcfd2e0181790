// The page in which keys and values of @nats-io/kv are used in a browser: the same jobs as on Node.
//
// The page tells the server it came from each job that has passed, then `end`, or what failed.

import { guard, load, offer, servers, tell } from "/nats_loader.js";

await guard(async () => {
  offer(["@nats-io/jetstream", "@nats-io/kv"]);
  const [{ run }, keys, restart] = await Promise.all(
    ["jobs", "keys", "restart"].map((part) => import(`/stream_jobs/${part}.js`)),
  );
  const options = { servers: servers(), maxReconnectAttempts: -1, reconnectTimeWait: 50 };
  const client = await load("@nats-io/nats-core").wsconnect(options);
  const fail = (error) => tell(`failed: ${error.stack}`);
  await run(client, [keys, restart].flatMap((part) => part.jobs), [], tell, fail);
});
