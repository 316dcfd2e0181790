// Pictures of every view while the server has something to do: light, dark, and as a phone shows them.

import { join } from "node:path";

import { subscribe } from "./fixtures.js";

const SECONDS = 45;

// A load of a few hundred requests a second that rises and falls.
async function load(client, isOver) {
  const names = ["ann", "ben", "cem", "dia", "eva", "finn"];
  for (let round = 0; !isOver(); round++) {
    const busy = 1 + Math.sin(round / 25) ** 2 * 4;
    const commands = [];
    for (let step = 0; step < 40 * busy; step++) {
      const user = names[Math.floor(Math.random() ** 2 * names.length)];
      commands.push(["SET", `session:${Math.floor(Math.random() * 5000)}`, "x".repeat(200), "EX", 600], ["GET", `session:${Math.floor(Math.random() * 6000)}`],
        ["RL.CHECK", user, "POLICY", "api"], ["PUBLISH", "news.eu", "hello"]);
    }
    await client.run("PING");
    await client.send("POST", "redis/pipeline", commands);
    for (let step = 0; step < busy; step++) {
      await client.send("POST", `publish/orders.${names[step % names.length]}`, { number: round, from: "Berlin", total: 42.5 }, { "Content-Type": "application/json" });
      await client.send("POST", "lock", { resource: `report:${round % 7}`, owner: `job-${round % 7}`, ttl_ms: 900 });
    }
    await new Promise((resolve) => setTimeout(resolve, 60));
  }
}

export async function take(visit, folder, views, client, broker) {
  let isOver = false;
  await subscribe(broker, "dashboard", "news.>");
  const running = load(client, () => isOver);
  const first = await visit("");
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  await first.screenshot(join(folder, "overview-light.png"));
  const details = { locks: "locks?match=[io]*", cache: "cache?db=0&key=636172743a37", streams: "streams?stream=orders&from=28" };
  for (const [kind, options] of [["dark", { isDark: true }], ["light", {}], ["phone", { width: 360, height: 740, isPhone: true }], ["phone-dark", { width: 360, height: 740, isPhone: true, isDark: true }]]) {
    const page = kind === "light" ? first : await visit("", options);
    for (const view of views) {
      await page.go(`#/${details[view] ?? view}`);
      await new Promise((resolve) => setTimeout(resolve, 4500));
      if (view === "commands") {
        for (const line of ["HGETALL cart:7", "ZRANGE scores 0 -1 WITHSCORES", "INCR jobs"]) {
          await page.fill("Command", line);
          await page.press("Enter");
          await page.says(`> ${line}`);
        }
        await page.fill("Command", "HGET");
        await page.press("ArrowDown");
      }
      await page.screenshot(join(folder, `${view}-${kind}.png`));
    }
  }
  isOver = true;
  await running;
}
