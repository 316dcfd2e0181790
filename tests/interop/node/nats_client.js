// @nats-io/transport-node with its default settings: `node nats_client.js HOST:PORT`.

import assert from "node:assert/strict";
import * as nats from "@nats-io/transport-node";
import { Svcm } from "@nats-io/services";
import { play } from "./nats_steps.js";

async function service({ client, other }) {
  const running = await new Svcm(other).add({ name: "mirror", version: "1.2.3", description: "turns words" });
  running.addEndpoint("turn", (_, message) => message.respond([...message.string()].reverse().join("")));
  await other.flush();
  assert.equal((await client.request("turn", "abc")).string(), "cba");
  const clients = new Svcm(client).client();
  for (const verb of ["ping", "info", "stats"]) {
    for (const names of [[], ["mirror"], ["mirror", running.info().id]]) {
      const said = [];
      for await (const answer of await clients[verb](...names)) said.push(answer);
      assert.equal(said.length, 1);
      assert.equal(said[0].name, "mirror");
      assert.equal(said[0].type, `io.nats.micro.v1.${verb}_response`);
    }
  }
  await running.stop();
  await other.flush();
  await assert.rejects(client.request("$SRV.PING.mirror", "", { timeout: 60000 }));
}

async function context({ client }) {
  const told = await client.context();
  assert.equal(told.server.id, client.info.server_id);
  assert.deepEqual(told.data, { user: "", account: "$G", account_name: "$G" });
}

const open = () => nats.connect({ servers: process.argv[2] });
await play(nats, open, (line) => console.log(line), [service, context]);
