// What the programs of this folder share: where the server is, steps, and conditions to wait for.

import { setTimeout as pause } from "node:timers/promises";

export const PORT = Number(process.env.INTEROP_PORT);

// More than any condition takes on a busy machine.
const LOOKS_MAX = 12_000;
const LOOK_MS = 10;

// Runs the steps in order; each prints its name once it has passed.
export async function run(steps) {
  for (const step of steps) {
    await step();
    console.log(step.name);
  }
}

// Waits until `condition` returns something, which is passed on.
export async function wait_until(condition) {
  for (let look = 0; look < LOOKS_MAX; look += 1) {
    const found = await condition();
    if (found) return found;
    await pause(LOOK_MS);
  }
  throw new Error("the condition did not hold");
}

// The numbers from nought.
export const range = (count) => [...Array(count).keys()];

// Lets `count` contenders enter by `enter(inside)`, and returns how many there were inside at most.
export async function crowd(count, enter) {
  let now = 0;
  let most = 0;
  let entered = 0;
  const inside = async () => {
    now += 1;
    entered += 1;
    most = Math.max(most, now);
    await pause(1);
    now -= 1;
  };
  await Promise.all(range(count).map((number) => enter(inside, number)));
  return { most, entered };
}
