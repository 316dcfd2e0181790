// A headless Chromium, driven by the DevTools protocol: as much of it as the console's jobs need.

import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import WebSocket from "ws";

// The longest time to wait for something on a page, in milliseconds.
const PATIENCE = 30_000;

// Keys with a name: their codes, and the text that they type.
const KEYS = { Tab: [9], Enter: [13, "\r"], Escape: [27], ArrowUp: [38], ArrowDown: [40], " ": [32, " "] };

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Waits until `look` finds something.
export async function until(look, what) {
  const end = Date.now() + PATIENCE;
  for (;;) {
    const found = await look();
    if (found) return found;
    if (Date.now() > end) throw new Error(`in vain: ${what ?? look}`);
    await pause(30);
  }
}

export class Browser {
  static async start(program) {
    const profile = mkdtempSync(join(tmpdir(), "quartet-console-"));
    // It refuses to run as root otherwise, as which tests may run; the only pages it opens are ours.
    const child = spawn(program, ["--headless", "--disable-gpu", "--no-sandbox", "--hide-scrollbars", "--force-color-profile=srgb",
      "--remote-debugging-port=0", `--user-data-dir=${profile}`, "about:blank"], { stdio: "ignore" });
    // A job that fails must leave no browser behind that goes on asking.
    process.once("exit", () => child.kill("SIGKILL"));
    const file = join(profile, "DevToolsActivePort");
    const [port, path] = await until(() => {
      const lines = existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
      return lines.length >= 2 ? lines : null;
    }, "the browser does not start");
    const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, { perMessageDeflate: false });
    await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
    return new Browser(child, profile, socket);
  }

  constructor(child, profile, socket) {
    Object.assign(this, { child, profile, socket, lastId: 0, waiting: new Map(), pages: new Map() });
    socket.on("message", (text) => {
      const message = JSON.parse(text);
      const waiter = this.waiting.get(message.id);
      if (waiter) {
        this.waiting.delete(message.id);
        if (message.error) waiter.reject(new Error(message.error.message));
        else waiter.resolve(message.result);
      } else {
        this.pages.get(message.sessionId)?.notice(message);
      }
    });
  }

  send(method, params = {}, sessionId = undefined) {
    const id = ++this.lastId;
    this.socket.send(JSON.stringify({ id, method, params, sessionId }));
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  // What tabs share: connections, and what a site keeps.
  async context() {
    return (await this.send("Target.createBrowserContext")).browserContextId;
  }

  // Opens a page in a context of its own unless one is given, so that it knows nothing of the others.
  async open(url, { width = 1280, height = 900, isDark = false, isPhone = false, context } = {}) {
    const browserContextId = context ?? (await this.context());
    const { targetId } = await this.send("Target.createTarget", { url: "about:blank", browserContextId });
    const { sessionId } = await this.send("Target.attachToTarget", { targetId, flatten: true });
    const page = new Page(this, sessionId, targetId);
    this.pages.set(sessionId, page);
    for (const domain of ["Page", "Runtime", "Log"]) await page.send(`${domain}.enable`);
    await page.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: isPhone });
    await page.send("Emulation.setEmulatedMedia", { features: [{ name: "prefers-color-scheme", value: isDark ? "dark" : "light" }] });
    await page.send("Page.navigate", { url });
    return page;
  }

  async close() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.send("Browser.close").catch(() => {});
    await ended;
    this.socket.terminate();
    // Its helpers may write for a moment longer.
    await until(() => {
      try {
        rmSync(this.profile, { recursive: true, force: true });
        return true;
      } catch {
        return false;
      }
    }, "the profile cannot be removed");
  }
}

class Page {
  constructor(browser, sessionId, targetId) {
    // What the page complained about, and the dialogs that scripts opened.
    Object.assign(this, { browser, sessionId, targetId, complaints: [], dialogs: [] });
  }

  close() {
    return this.browser.send("Target.closeTarget", { targetId: this.targetId });
  }

  send(method, params) {
    return this.browser.send(method, params, this.sessionId);
  }

  notice({ method, params }) {
    if (method === "Runtime.exceptionThrown") this.complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === "Log.entryAdded" && params.entry.source === "security") this.complaints.push(params.entry.text);
    if (method === "Page.javascriptDialogOpening") {
      this.dialogs.push(params.message);
      this.send("Page.handleJavaScriptDialog", { accept: false });
    }
  }

  // Runs a function in the page.
  async run(wanted, ...values) {
    const expression = `(${wanted})(${values.map((value) => JSON.stringify(value)).join(", ")})`;
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
    return result.value;
  }

  // Waits until the page has this text.
  async says(...texts) {
    for (const text of texts) {
      const look = () => this.run((wanted) => document.body?.innerText.includes(wanted), text);
      // A page that is loaded anew has nothing to look at for a moment.
      await until(() => look().catch(() => false), JSON.stringify(text)).catch(async (error) => {
        throw new Error(`${error.message} is not on the page, which says:\n${await this.run(() => document.body.innerText)}`);
      });
    }
  }

  // Waits until the console has this state: `Live`, or `Reconnecting …`.
  isIn(state) {
    return until(() => this.run((wanted) => document.getElementById("state")?.textContent === wanted, state).catch(() => false), `the console is not ${state}`);
  }

  go(hash) {
    return this.run((wanted) => { location.hash = wanted; }, hash);
  }

  // Clicks on the element that fits a selector and, if given, has this text.
  async click(selector, text) {
    await until(() => this.run((wanted, said) => {
      const fits = (one) => said === null || one.textContent.trim() === said;
      const element = Array.from(document.querySelectorAll(wanted)).find(fits);
      element?.click();
      return element !== undefined;
    }, selector, text ?? null), `nothing to click: ${selector} ${text ?? ""}`);
  }

  // Puts a text into the field with this label.
  async fill(label, text) {
    await until(() => this.run((name, value) => {
      const all = Array.from(document.querySelectorAll("label"));
      const input = all.find((one) => one.textContent === name)?.control ?? document.querySelector(`[aria-label="${name}"]`);
      if (!input) return false;
      input.value = value;
      input.dispatchEvent(new Event("input", { bubbles: true }));
      return true;
    }, label, text), `there is no field ${label}`);
  }

  async press(key, { shift = false } = {}) {
    const [code, text] = KEYS[key];
    const facts = { key, code: key === " " ? "Space" : key, windowsVirtualKeyCode: code, modifiers: shift ? 8 : 0 };
    await this.send("Input.dispatchKeyEvent", { type: text ? "keyDown" : "rawKeyDown", text, ...facts });
    await this.send("Input.dispatchKeyEvent", { type: "keyUp", ...facts });
  }

  type(text) {
    return this.send("Input.insertText", { text });
  }

  // Presses Tab until the element in focus has this text or label.
  async tabTo(text) {
    for (let step = 0; step < 60; step++) {
      await this.press("Tab");
      const found = await this.run((wanted) => {
        const element = document.activeElement;
        const names = [element.textContent.trim(), element.getAttribute("aria-label"), element.labels?.[0]?.textContent];
        return names.includes(wanted);
      }, text);
      if (found) return;
    }
    throw new Error(`Tab does not lead to ${text}`);
  }

  async screenshot(path) {
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(data, "base64"));
  }
}
