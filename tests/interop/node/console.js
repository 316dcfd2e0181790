// The console in a headless Chromium: each job does what a visitor would do, and says so when it is done.
//
// Usage: console.js CHROMIUM OPEN_ORIGIN OPEN_BROKER LOCKED_ORIGIN RESTARTED_ORIGIN, where the second server has the password
// `sesame`, and the third is started again when this program says `restart`.  With PICTURES=folder every view is pictured.

import { readFileSync } from "node:fs";
import { createServer, request } from "node:http";
import assert from "node:assert/strict";
import { createRequire } from "node:module";

import { Browser, until } from "./console/browser.js";
import { Client, fill, MARKUP, subscribe } from "./console/fixtures.js";

const [chromium, open, broker, locked, restarted] = process.argv.slice(2);
const VIEWS = ["overview", "cache", "locks", "limits", "broker", "streams", "commands"];
const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

const browser = await Browser.start(chromium);
const client = new Client(open);

// A page of the server without a password, with its figures live.
async function visit(hash, options) {
  const page = await browser.open(`${open}/${hash}`, options);
  await page.isIn("Live");
  return page;
}

// Nothing that a name or a value says has run, and the browser had nothing to refuse.
function assertHarmless(page) {
  assert.deepEqual(page.dialogs, []);
  assert.deepEqual(page.complaints, []);
}

const JOBS = {
  // The first one, since the test that starts the servers waits for it.
  async the_figures_come_back_after_a_restart() {
    const page = await browser.open(`${restarted}/#/overview`);
    await page.isIn("Live");
    console.log("stop");
    await page.isIn("Reconnecting …");
    console.log("start");
    await page.isIn("Live");
    await until(() => page.run(() => document.querySelectorAll(".chart .line[d*='L']").length >= 1), "the charts are not drawn again");
  },

  async every_view_shows_what_there_is() {
    const page = await visit("");
    await page.says("Cache", "Hit ratio", "Deadlocks refused", "Subscriptions", "Lag of consumers", "/s");
    // The figures move by themselves.
    await until(() => page.run(() => document.querySelectorAll(".chart .line[d*='L']").length >= 5), "the charts have no lines");
    await page.go("#/cache");
    await page.says("user:1", "cart:7", "\\xff\\x00\\xfe", "zset", "9 d 23 h", "keys, that is all");
    await page.go("#/locks");
    await page.says("worker-1", "orders", "invoices", "exclusive", "Who waits for whom", "1 refused for a deadlock", "ago worker-2 was refused");
    await page.go("#/limits");
    await page.says("api", "ann", "3 per 1 h (gcra", "default");
    await page.go("#/broker");
    await page.says("orders.>", "subscriptions, those of", "Connections of the broker");
    await page.go("#/streams");
    await page.says("billing", "orders");
    await page.click("a", "orders");
    await page.says("Messages of orders", "order 1", "order 20");
    assert.equal(await page.run(() => document.activeElement.textContent), "Messages of orders");
    await page.click("a", "Next");
    await page.says("order 30");
    await page.click("a", "Previous");
    await page.says("order 1\n");
    assertHarmless(page);
  },

  async names_that_are_markup_stay_text() {
    const page = await visit("#/cache");
    await page.says(MARKUP);
    await page.click("a", MARKUP);
    await page.says("Save the value");
    for (const [hash, ...texts] of [["#/locks", MARKUP], ["#/limits", MARKUP], ["#/broker", MARKUP], ["#/streams?stream=orders&from=31", MARKUP, "orders.<img/src=x/onerror=alert(1)>"]]) {
      await page.go(hash);
      await page.says(...texts);
    }
    await page.go(`#/commands?run=${encodeURIComponent(`ECHO ${JSON.stringify(MARKUP)}`)}`);
    await page.click("button", "Run");
    await page.says(`> ECHO`, "onerror=");
    assert.equal(await page.run(() => document.querySelectorAll("main img, main script").length), 0);
    assertHarmless(page);
  },

  async a_key_is_changed_and_deleted() {
    const page = await visit("#/cache");
    await page.click("a", "greeting");
    await page.says("Has no time to live.");
    await page.fill("Time to live in seconds", "100000");
    await page.click("button", "Set");
    await page.says("Lives on for 1 d 3 h");
    await page.fill("Value", "good morning");
    await page.click("button", "Save the value");
    await page.says("The value was saved.");
    assert.equal(await client.run("GET", "greeting"), "good morning");
    const left = await client.run("TTL", "greeting");
    assert.ok(left > 90_000 && left <= 100_000, `${left}`);
    await page.click("button", "Delete the key …");
    await page.says("Delete greeting with its value?");
    await page.click("dialog[open] button", "Delete");
    await page.says("greeting was deleted.");
    assert.equal(await client.run("EXISTS", "greeting"), 0);

    await page.go("#/cache?match=cart*");
    await page.click("a", "cart:7");
    await page.says("2 parts", "apples");
    await page.fill("Field", "plums");
    await page.fill("Value", "9");
    await page.click("button", "Write");
    await page.says("3 parts");
    await page.click("button[aria-label='Remove apples']");
    await until(async () => (await client.run("HKEYS", "cart:7")).join() === "pears,plums", "apples stay");
    // A key that is no text is found, shown and deleted by its bytes.
    await page.go("#/cache?key=ff00fe&db=0&match=&type=");
    await page.says("\\xff\\x00\\xfe", "not plain text");
    await page.click("button", "Delete the key …");
    await page.click("dialog[open] button", "Delete");
    await page.says("was deleted.");
    assert.equal(await client.run("EXISTS", { base64: "/wD+" }), 0);
    assertHarmless(page);
  },

  async names_and_values_may_be_anything() {
    const names = ["", " ", "a \u0000 b", "it's \"quoted\"", "\u202egnp.exe", "line\nbreak", "x".repeat(100_000)];
    for (const name of names) await client.run("SET", `odd:${name}`, name);
    const page = await visit("#/cache?match=odd:*");
    await page.says("7 keys, that is all.", "odd: ", "odd:a \\x00 b", 'odd:it\'s "quoted"', "odd:\\u202egnp.exe", "odd:line\\nbreak", `odd:${"x".repeat(150)}`);
    assert.ok(!(await page.run(() => document.body.innerText)).includes("x".repeat(1000)), "a long name is cut");
    await page.go("#/cache");
    for (const name of names) {
      await page.go(`#/cache?match=odd:*&key=${Buffer.from(`odd:${name}`).toString("hex")}`);
      await page.says("Delete the key …");
      await page.click("button", "Delete the key …");
      await page.click("dialog[open] button", "Delete");
      await page.says("was deleted.");
      assert.equal(await client.run("EXISTS", `odd:${name}`), 0, name.slice(0, 20));
    }
    // The parts of a value are longer than a reply may be.
    const parts = `for number = 0, 19 do
      local part = number .. string.rep(".", 1000000)
      redis.call("RPUSH", KEYS[1], part)
      redis.call("HSET", KEYS[2], "field " .. number, part)
    end`;
    await client.run("EVAL", parts, 2, "long:list", "long:hash");
    for (const [key, text] of [["long:list", "10......"], ["long:hash", "field "]]) {
      await page.go(`#/cache?match=long:*&key=${Buffer.from(key).toString("hex")}`);
      await page.says("20 parts", key === "long:list" ? "9......" : "......");
      await page.click(".detail button", "Next page");
      await page.says("20 parts", text);
      await client.run("DEL", key);
    }
    assertHarmless(page);
  },

  async every_key_is_seen_page_by_page() {
    for (let from = 0; from < 2000; from += 1000) {
      await client.run("MSET", ...Array.from({ length: 1000 }, (_, number) => [`many:${from + number}`, "x"]).flat());
    }
    const page = await visit("#/cache?match=many:*");
    const seen = new Set();
    for (let pages = 0; pages < 1000; pages++) {
      await until(() => page.run(() => /that is all|there may be more/.test(document.querySelector("[role=status].hint").textContent)), "no page comes");
      const shown = await page.run(() => Array.from(document.querySelectorAll(".found a"), (link) => link.textContent));
      shown.forEach((name) => seen.add(name));
      const isMore = await page.run(() => {
        const next = Array.from(document.querySelectorAll("button")).find((one) => one.textContent === "Next page");
        const status = document.querySelector("[role=status].hint");
        if (next.hidden) return false;
        status.textContent = "";
        next.click();
        return true;
      });
      if (!isMore) break;
    }
    assert.equal(seen.size, 2000);
    await client.run("DEL", ...seen);
  },

  async what_others_have_changed_is_not_written_over() {
    const hex = (key) => Buffer.from(key).toString("hex");
    await client.run("SET", "shared", "first");
    const page = await visit(`#/cache?match=shared*&key=${hex("shared")}`);
    await page.says("Save the value");
    await client.run("SET", "shared", "second");
    await page.fill("Value", "third");
    await page.click("button", "Save the value");
    await page.says("Nothing was changed");
    assert.equal(await client.run("GET", "shared"), "second");
    await client.run("DEL", "shared");
    await page.click("button", "Save the value");
    await page.says("Nothing was changed");
    assert.equal(await client.run("EXISTS", "shared"), 0);
    await page.fill("Time to live in seconds", "100");
    await page.click("button", "Set");
    await page.says("The key does not exist any more.");

    // Of equal elements that one goes whose button was pressed, and none if the list has moved on.
    await client.run("RPUSH", "shared:list", "a", "b", "a", "c");
    await page.go(`#/cache?match=shared*&key=${hex("shared:list")}`);
    await page.says("4 parts");
    const remove = (place) => page.run((wanted) => document.querySelectorAll(".detail button[aria-label='Remove a']")[wanted].click(), place);
    await remove(1);
    await page.says("3 parts", "It was removed.");
    assert.deepEqual(await client.run("LRANGE", "shared:list", 0, -1), ["a", "b", "c"]);
    await client.run("LPUSH", "shared:list", "new");
    await remove(0);
    await page.says("4 parts", "Nothing was changed");
    assert.deepEqual(await client.run("LRANGE", "shared:list", 0, -1), ["new", "a", "b", "c"]);
    await client.run("DEL", "shared:list");
    assertHarmless(page);
  },

  async the_focus_outlives_what_changes() {
    const lock = (resource, owner) => client.send("POST", "lock", { resource, owner, ttl: 600 });
    for (const resource of ["focus:b", "focus:c"]) await lock(resource, "worker");
    const page = await visit("#/locks?match=focus:*");
    const focused = () => page.run(() => document.activeElement.getAttribute("aria-label"));
    await page.says("focus:b", "focus:c");
    await page.run(() => document.querySelector("button[aria-label='Release focus:c of worker by force']").focus());
    // A row comes before it, and one goes.
    await lock("focus:a", "worker");
    await page.says("focus:a");
    assert.equal(await focused(), "Release focus:c of worker by force");
    await client.send("DELETE", "locks/focus:b");
    await until(async () => !(await page.run(() => document.body.innerText)).includes("focus:b"), "the row stays");
    assert.equal(await focused(), "Release focus:c of worker by force");
    // The button that had it goes with its row, so the table has it.
    await client.send("DELETE", "locks/focus:c");
    await until(async () => (await focused()) === "Locks that are held or waited for", "the focus is lost");
    await client.send("DELETE", "locks/focus:a");
    // Durations go on although nothing happens.
    const held = () => page.run(() => document.querySelector("td[data-column='Waited']").textContent);
    const before = await held();
    await until(async () => (await held()) !== before, "the time stands still");

    // Tables that change every second keep their elements, and so what is selected.
    await page.go("#/limits");
    await page.says("Keys that are refused most");
    await page.run(() => { document.querySelector("table").kept = true; });
    const allowed = () => page.run(() => document.querySelector("td[data-column='Allowed']").textContent);
    const count = await allowed();
    await client.send("POST", "check", { checks: [{ policy: "api", key: "somebody else", cost: 1 }] });
    await until(async () => (await allowed()) !== count, "the decision is not shown");
    assert.ok(await page.run(() => document.querySelector("table").kept), "the table was replaced");
    assertHarmless(page);
  },

  async a_check_is_tried() {
    const page = await visit("#/limits");
    await page.fill("Policy", "api");
    await page.fill("Key", "a new visitor");
    await page.click("button", "Check");
    await page.says("Allowed.", "Remaining");
    await page.fill("Cost", "2");
    await page.click("#takes");
    for (const word of ["Allowed.", "Refused."]) {
      await page.click("button", "Check");
      await page.says(word);
    }
    // The decisions come over the feed.
    await page.says("a new visitor");
  },

  async a_policy_is_made_changed_and_removed() {
    const page = await visit("#/limits");
    const saved = () => client.send("GET", "policies/calm");
    await page.says("Make or change a policy");
    await page.fill("Name", "calm");
    await page.fill("How many", "7");
    await page.fill("Period in seconds", "1.5");
    await page.click("button", "Save the policy");
    await page.says("calm holds from now on.", "7 per 1500 ms (gcra");
    assert.deepEqual((await saved()).limits, [{ algorithm: "gcra", limit: 7, period_ms: 1500, scope: "key" }]);
    // What the server refuses is said in its words, and what is no JSON has no fields.
    await page.fill("Algorithm", "guess");
    await page.click("button", "Save the policy");
    await page.says("guess");
    assert.equal((await saved()).limits[0].algorithm, "gcra");
    await page.fill("Definition", "{");
    assert.ok(await page.run(() => document.querySelector("input[list=algorithms]").disabled));
    await page.fill("Definition", JSON.stringify({ limits: [{ algorithm: "fixed", limit: 9, period_ms: 60_000 }], deny: ["mallory"] }));
    await page.click("button", "Save the policy");
    await page.says("9 per 1 min (fixed");
    assert.deepEqual((await saved()).deny, ["mallory"]);

    // Another one has changed it meanwhile, and nothing of that is lost.
    await client.send("PUT", "policies/calm", { limits: [{ algorithm: "log", limit: 3, period_ms: 1000 }] });
    await page.fill("How many", "8");
    await page.click("button", "Save the policy");
    await page.says("Nothing was changed: calm was changed meanwhile");
    // What was written is given up only by the visitor.
    const written = () => page.run(() => document.querySelector("textarea").value);
    const before = await written();
    await page.click("button[aria-label='Change calm']");
    await page.says("Show calm instead of what the form says?");
    await page.click("dialog[open] button", "Cancel");
    assert.equal(await written(), before);
    await page.click("button[aria-label='Change calm']");
    await page.click("dialog[open] button", "Show it");
    await until(() => page.run(() => document.querySelector("input[list=algorithms]").value === "log"), "the form is not filled");
    await page.fill("How many", "8");
    await page.click("button", "Save the policy");
    await page.says("8 per 1 s (log");
    // Nor by a new one of that name.
    await page.go("#/overview");
    await page.says("Hit ratio");
    await page.go("#/limits");
    await page.says("8 per 1 s (log");
    await page.fill("Name", "calm");
    await page.click("button", "Save the policy");
    await page.says("Nothing was changed: calm is there already");

    await page.click("button[aria-label='Remove calm']");
    await page.says("Remove the policy calm?");
    await page.click("dialog[open] button", "Cancel");
    assert.equal((await saved()).limits[0].limit, 8);
    await page.click("button[aria-label='Remove calm']");
    await page.click("dialog[open] button", "Remove");
    await page.says("calm was removed.");
    assert.equal((await saved()).status, 404);
    assertHarmless(page);
  },

  async a_policy_that_was_removed_can_be_saved_again() {
    const page = await visit("#/limits");
    const saved = () => client.send("GET", "policies/brief");
    await page.says("Make or change a policy");
    await page.fill("Name", "brief");
    await page.click("button", "Save the policy");
    await page.says("brief holds from now on.");
    // Another one has removed it.
    await client.send("DELETE", "policies/brief");
    await page.click("button", "Save the policy");
    await page.says("Nothing was changed: brief was removed meanwhile.");
    assert.equal((await saved()).status, 404);
    await page.click("button", "Save the policy");
    await page.says("brief holds from now on.");
    // The visitor has.
    await page.click("button[aria-label='Remove brief']");
    await page.click("dialog[open] button", "Remove");
    await page.says("brief was removed.");
    await page.click("button", "Save the policy");
    await until(async () => (await saved()).limits?.[0].limit === 100, "it is not made anew");
    await client.send("DELETE", "policies/brief");
    assertHarmless(page);
  },

  async a_stream_is_made_purged_and_deleted() {
    const page = await visit("#/streams");
    const made = () => client.send("GET", "streams/bills");
    await page.fill("Name", "bills");
    await page.fill("Subjects", "bills.* bill.>");
    await page.fill("Kept", "MEMORY");
    await page.fill("Messages at most", "5");
    await page.fill("Seconds at most", "3600");
    await page.click("button", "Make the stream");
    await page.says("bills keeps bills.*, bill.> from now on.");
    const { config } = await made();
    assert.deepEqual([config.subjects, config.storage, config.max_msgs, config.max_age, config.retention], [["bills.*", "bill.>"], "memory", 5, 3_600_000_000_000, "limits"]);
    // One that exists is left as it is.
    await page.fill("Messages at most", "6");
    await page.click("button", "Make the stream");
    await page.says("already in use");
    assert.equal((await made()).config.max_msgs, 5);

    for (const text of ["one", "two"]) await client.send("POST", "publish/bills.new", text);
    await page.click("a", "bills");
    await page.says("Messages of bills", "two");
    await page.click("button[aria-label='Purge bills']");
    await page.says("Remove all messages of bills, 2 at this moment?");
    await page.click("dialog[open] button", "Cancel");
    assert.equal((await made()).state.messages, 2);
    await page.click("button[aria-label='Purge bills']");
    await page.click("dialog[open] button", "Remove them");
    await page.says("2 messages were removed from bills.", "There is no message from here on.");
    assert.equal((await made()).state.messages, 0);
    await page.click("button[aria-label='Delete bills']");
    await page.says("Delete bills with all its messages");
    await page.click("dialog[open] button", "Delete");
    await page.says("bills was deleted.");
    assert.equal((await made()).status, 404);
    assert.equal(await page.run(() => location.hash), "#/streams");
    await until(async () => !(await page.run(() => document.body.innerText)).includes("Messages of bills"), "its messages stay");
    assertHarmless(page);
  },

  async a_lock_is_released_by_force() {
    const page = await visit("#/locks");
    const arrows = () => page.run(() => Array.from(document.querySelectorAll("svg path.wait"), (path) => path.classList.contains("circle")));
    await until(async () => (await arrows()).length === 4, "two wait, and a circle of two was refused");
    assert.deepEqual((await arrows()).sort(), [false, false, true, true]);
    await page.click("button[aria-label='Release invoices of worker-2 by force']");
    await page.says("Take invoices away from worker-2?");
    await page.click("dialog[open] button", "Take it away");
    await page.says("invoices was taken away from worker-2.");
    // The one who waited has it now.
    await until(async () => (await client.send("GET", "locks/invoices")).holders[0]?.owner === "worker-1", "nobody got it");
    await until(async () => (await arrows()).length === 3, "the graph has not followed");
    assertHarmless(page);
  },

  async a_command_is_completed_and_run() {
    const page = await visit("#/commands");
    await page.says("Tab or ↓ completes");
    await until(() => page.run(() => document.activeElement.id === "command"), "the box is not in focus");
    const value = () => page.run(() => document.getElementById("command").value);
    await until(async () => {
      await page.fill("Command", "incrb");
      return page.run(() => document.getElementById("suggestions").children.length > 0);
    }, "nothing is offered");
    await page.press("ArrowDown");
    assert.equal(await page.run(() => document.getElementById("command").getAttribute("aria-activedescendant")), "suggestion-0");
    await page.press("Tab");
    assert.equal(await value(), "INCRBY ");
    await page.says("INCRBY key increment");
    await page.type("counted 5");
    await page.press("Enter");
    await page.says("> INCRBY counted 5", "(integer) 5");
    for (const [line, ...replies] of [["LRANGE jobs 0 -1", '1) "first"', '3) "third"'], ["GET nothing", "(nil)"], ["INCR jobs", "(error) WRONGTYPE"],
      ['SET "a \\x00 b" 1', "OK"], ["SET large 9223372036854775806", "OK"], ["INCR large", "(integer) 9223372036854775807"], ["PING", "PONG"]]) {
      await page.fill("Command", line);
      await page.press("Enter");
      await page.says(`> ${line}`, ...replies);
    }
    assert.equal(await client.run("EXISTS", "a \u0000 b"), 1);
    await page.press("ArrowUp");
    assert.equal(await value(), "PING");
    await page.press("ArrowUp");
    assert.equal(await value(), "INCR large");
    await page.press("ArrowDown");
    await page.press("ArrowDown");
    assert.equal(await value(), "");
    await page.fill("Database", "1");
    await page.fill("Command", "EXISTS counted");
    await page.press("Enter");
    await page.says("> EXISTS counted", "(integer) 0");
    await page.fill("Database", "99");
    await page.fill("Command", "EXISTS jobs");
    await page.press("Enter");
    await page.says("(error) ERR DB index is out of range");
    await page.fill("Database", "0");
    // Without a password, nobody is an operator.
    await page.fill("Command", "CONFIG GET maxmemory");
    await page.press("Enter");
    await page.says("NOPERM CONFIG GET is for operators");
  },

  async texts_and_graphs_are_exact() {
    const page = await visit("");
    const found = await page.run(async () => {
      const { words, spell } = await import("./console/replies.js");
      const { Bytes, millis, bytes } = await import("./console/format.js");
      const { draw } = await import("./console/graph.js");
      const spelled = (line) => words(line)?.map((word) => (typeof word === "string" ? word : word.hex));
      const edges = (...pairs) => pairs.map(([from, to]) => ({ from, to, label: "x" }));
      const circle = draw(edges("ab", "bc", "ca", "da"), "a circle and one who waits for it");
      const crowd = draw(edges(...Array.from({ length: 41 }, (_, place) => [`${place}`, "a"])), "too many");
      return {
        words: ['SET  "a b"  \'c "d"\' e', '"\\xff\\n"', "'it\\'s'", '"open', ""].map(spelled),
        shown: [[255, 0, 65, 92], [226, 128, 174], [195, 164, 10]].map((array) => new Bytes(Uint8Array.from(array)).shown),
        reply: spell([Bytes.of("a"), [1, [null, "OK"]], []], "x"),
        numbers: [millis(999), millis(90_061_000), bytes(1023), bytes(1536)],
        circle: ["g.owner", "g.circle", "path.wait", "path.circle"].map((part) => circle.querySelectorAll(part).length),
        crowd: crowd.textContent,
      };
    });
    assert.deepEqual(found, {
      words: [["SET", "a b", 'c "d"', "e"], ["ff0a"], ["it's"], null, []],
      shown: ["\\xff\\x00A\\\\", "\\u202e", "ä\\n"],
      reply: '1) "a"\n2) 1) (integer) 1\n   2) 1) (nil)\n      2) OK\n3) (empty array)',
      numbers: ["999 ms", "1 d 1 h", "1023 B", "1.5 KiB"],
      circle: [4, 3, 4, 3],
      crowd: "42 owners are too many to draw; the table shows them.",
    });
  },

  async a_message_is_published() {
    const page = await visit("#/broker");
    await page.fill("Subject", "orders.console");
    await page.fill("Payload", "hello");
    await page.click("button", "Publish");
    await page.says("1 receiver got it; stored in orders as 32.");
  },

  async a_subject_is_listened_to() {
    const page = await visit("#/broker");
    await page.fill("Pattern", "news.*");
    await page.click("button", "Listen");
    await page.says("Listening to news.*");
    const publish = (subject, text) => client.send("POST", `publish/${subject}`, text);
    await until(async () => (await publish("news.eu", "first")).receivers === 1, "nobody listens");
    await publish("other", "not this one");
    await publish("news.us", MARKUP);
    await page.says("news.eu", "first", "news.us", MARKUP);
    assert.ok(!(await page.run(() => document.body.innerText)).includes("not this one"));
    await page.click("button", "Stop");
    await until(async () => (await publish("news.eu", "last")).receivers === 0, "it listens on");
    assertHarmless(page);
  },

  async a_flood_of_messages_leaves_the_page_usable() {
    const page = await visit("#/broker");
    await page.fill("Pattern", "flood.>");
    await page.click("button", "Listen");
    await page.says("Listening to flood.>");
    let isOver = false;
    const batch = Array.from({ length: 2000 }, (_, number) => ["PUBLISH", `flood.${number}`, "x".repeat(100)]);
    const flood = (async () => {
      while (!isOver) await client.send("POST", "redis/pipeline", batch);
    })();
    await page.says("flood.1999");
    assert.ok((await page.run(() => document.querySelectorAll(".log .entry").length)) <= 50);
    await page.click("button", "Stop");
    isOver = true;
    await flood;
    await until(async () => (await client.send("POST", "publish/flood.last", "x")).receivers === 0, "it listens on");
    assertHarmless(page);
  },

  async figures_come_only_while_somebody_sees_them() {
    const page = await browser.open("about:blank");
    await page.send("Page.addScriptToEvaluateOnNewDocument", { source: `
      Object.defineProperty(document, "hidden", { get: () => globalThis.isHidden ?? true, configurable: true });` });
    await page.send("Page.navigate", { url: `${open}/#/overview` });
    await page.isIn("Paused");
    const look = (isHidden) => page.run((value) => {
      globalThis.isHidden = value;
      document.dispatchEvent(new Event("visibilitychange"));
    }, isHidden);
    await look(false);
    await page.isIn("Live");
    await look(true);
    await page.isIn("Paused");
    await look(false);
    await page.isIn("Live");
    assertHarmless(page);
  },

  async the_keyboard_is_enough() {
    const page = await visit("");
    await page.press("Tab");
    assert.equal(await page.run(() => document.activeElement.textContent), "Skip to the content");
    await page.tabTo("Cache");
    await page.press("Enter");
    await until(() => page.run(() => document.activeElement.tagName === "H1" && document.title.startsWith("Cache")), "the heading is not in focus");
    await page.tabTo("Pattern");
    await page.type("user:*");
    await page.press("Enter");
    await page.says("1 key, that is all.");
    await page.tabTo("user:1");
    await page.press("Enter");
    await page.says("Lives on for 9 d 23 h");
    await until(() => page.run(() => document.activeElement.textContent === "user:1" && document.activeElement.tagName === "H2"), "the key is not in focus");
    assert.ok(await page.run(() => location.hash.includes("key=757365723a31")));
    await page.tabTo("Delete the key …");
    await page.press("Enter");
    await page.says("Delete user:1 with its value?");
    await page.press("Escape");
    await until(() => page.run(() => document.querySelector("dialog[open]") === null), "the question stays");
    assert.equal(await client.run("EXISTS", "user:1"), 1);
  },

  async a_phone_is_wide_enough() {
    const page = await visit("", { width: 360, height: 740, isPhone: true });
    for (const view of VIEWS) {
      await page.go(`#/${view}`);
      await page.says({ overview: "Hit ratio", cache: "cart:7", locks: "worker-1", limits: "3 per 1 h", broker: "orders.>", streams: "billing", commands: "Command" }[view]);
      const [wide, screen] = await page.run(() => [document.documentElement.scrollWidth, window.innerWidth]);
      assert.equal(screen, 360, view);
      assert.ok(wide <= screen, `${view} is ${wide} wide`);
    }
  },

  async an_audit_finds_no_barrier() {
    for (const isDark of [false, true]) {
      const page = await visit("", { isDark });
      await page.send("Page.setBypassCSP", { enabled: true });
      await page.send("Runtime.evaluate", { expression: axe });
      for (const hash of [...VIEWS, "cache?key=636172743a37&db=0", "streams?stream=orders&from=1"]) {
        await page.go(`#/${hash}`);
        await page.says({ overview: "Hit ratio", cache: "cart:7", locks: "worker-1", limits: "3 per 1 h", broker: "orders.>", streams: "billing", commands: "Command" }[hash.split("?")[0]]);
        const found = await page.run(async () => {
          const { violations } = await globalThis.axe.run(document, { resultTypes: ["violations"] });
          return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html.slice(0, 200)} ${failureSummary}`).join("; ")}`);
        });
        assert.deepEqual(found, [], `${hash}, ${isDark ? "dark" : "light"}`);
      }
    }
  },

  async a_proxy_may_serve_it_below_a_path() {
    const proxy = createServer((asked, answer) => {
      if (!asked.url.startsWith("/quartet/")) return answer.writeHead(404).end();
      // The header Host stays that of the page.
      const passed = request(`${open}${asked.url.slice("/quartet".length)}`, { method: asked.method, headers: asked.headers }, (response) => {
        answer.writeHead(response.statusCode, response.headers);
        response.pipe(answer);
      });
      asked.pipe(passed);
      answer.on("close", () => passed.destroy());
      return undefined;
    });
    await new Promise((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    const page = await browser.open(`http://127.0.0.1:${proxy.address().port}/quartet/#/cache`);
    await page.isIn("Live");
    await page.says("cart:7");
    proxy.closeAllConnections();
    proxy.close();
  },

  async a_password_is_asked_for() {
    const page = await browser.open(`${locked}/#/commands`);
    await page.says("This server has a password");
    const sign = async (password) => {
      // The text is in the page before the question is asked.
      await until(() => page.run(() => document.activeElement?.id === "password").catch(() => false), "the password is not in focus");
      await page.fill("Password", password);
      await page.press("Enter");
    };
    await until(() => page.run(() => document.activeElement.id === "password"), "the question has no focus");
    // The answer to an earlier password says nothing about the present one.
    const kept = await page.run(async () => {
      const api = await import("./console/api.js");
      api.setPassword("wrong");
      const asked = api.command("PING").catch((error) => error.status);
      api.setPassword("sesame");
      const status = await asked;
      const found = sessionStorage.getItem("quartet-password");
      api.forgetPassword();
      return [status, found];
    });
    assert.deepEqual(kept, [401, "sesame"]);
    await sign("sesame ");
    await page.says("cannot carry a password that begins or ends with a space");
    await sign("open");
    await page.says("The password is wrong.");
    await sign("sesame");
    await page.isIn("Live");
    // Whoever has the password is an operator.
    await page.fill("Command", "CONFIG GET maxmemory");
    await page.press("Enter");
    await page.says('1) "maxmemory"');
    const left = await page.run(() => [location.href, localStorage.length, document.cookie]);
    assert.deepEqual(left, [`${locked}/#/commands`, 0, ""]);
    await page.click("button", "Sign out");
    await page.says("This server has a password");
    // A password that is changed meanwhile is asked for anew.
    await sign("sesame");
    await page.isIn("Live");
    await new Client(locked, "sesame").run("CONFIG", "SET", "requirepass", "other");
    await page.fill("Command", "DBSIZE");
    await page.press("Enter");
    await page.says("The password is wrong.");
    assertHarmless(page);
  },

  async more_tabs_than_a_browser_has_connections() {
    const context = await browser.context();
    const pages = [];
    for (let number = 0; number < 6; number++) {
      const listening = await browser.open(`${open}/#/broker?subject=news.>`, { context });
      await listening.isIn("Live");
      await listening.click("button", "Listen");
      await listening.says("Listening to news.>");
      pages.push(listening);
    }
    const page = await browser.open(`${open}/`, { context });
    await page.says("six connections");
    await pages[0].close();
    await page.isIn("Live");
    await page.says("Hit ratio");
    for (const other of [...pages.slice(1), page]) await other.close();
  },
};

const sockets = [await subscribe(broker, MARKUP, "orders.>")];
const waits = await fill(client);
if (process.env.PICTURES) {
  const { take } = await import("./console/pictures.js");
  await take(visit, process.env.PICTURES, VIEWS, client, broker);
} else {
  const only = process.env.ONLY;
  for (const [name, job] of Object.entries(JOBS)) {
    if (only && only !== name) continue;
    await job();
    console.log(name);
  }
}
sockets.forEach((socket) => socket.destroy());
await browser.close();
// Requests that still wait end with the program.
void waits;
process.exit(0);
