/** The programs of the README run as they stand, against a server of their own. */

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";

import { Server } from "./servers.js";

/** The folder of the package, in which the tests are run. */
const PACKAGE = process.cwd();

/** The address that the README names. */
const ADDRESS = "redis://localhost:6379";

test("the programs of the README run", async () => {
  const text = readFileSync(join(PACKAGE, "README.md"), "utf8");
  const programs = [...text.matchAll(/```js\n(.*?)```/gs)].map((match) => match[1] ?? "");
  assert.ok(programs.length >= 3);
  const folder = mkdtempSync(join(PACKAGE, "build", "readme-"));
  const ours = pathToFileURL(join(PACKAGE, "build", "src", "index.js")).href;
  for (const program of programs) {
    await using server = await Server.start();
    assert.ok(program.includes(ADDRESS));
    const file = join(folder, "program.mjs");
    writeFileSync(file, program.replace(ADDRESS, `redis://127.0.0.1:${server.port}`).replace('"quartet-client"', `"${ours}"`));
    await promisify(execFile)(process.execPath, [file], { timeout: 60_000 });
  }
  rmSync(folder, { recursive: true });
});
