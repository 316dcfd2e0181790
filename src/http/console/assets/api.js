// Requests to the server.  The password goes as a bearer token in a header, never in an address, and is kept for this tab
// only.  Addresses are relative to the page.

import { Bytes } from "./format.js";

const KEPT = "quartet-password";

// What the server refuses, with its own words.
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    this.status = status;
  }
}

// Tells the page of `login`: a password is needed, or the one that was given is wrong.
export const events = new EventTarget();

export const hasPassword = () => sessionStorage.getItem(KEPT) !== null;
export const setPassword = (password) => sessionStorage.setItem(KEPT, password);
export const forgetPassword = () => sessionStorage.removeItem(KEPT);

function headers(password, others) {
  return password === null ? others : { ...others, Authorization: `Bearer ${encodePassword(password)}` };
}

// A header holds bytes: the password's UTF-8, one character for each.
function encodePassword(password) {
  return Array.from(new TextEncoder().encode(password), (byte) => String.fromCharCode(byte)).join("");
}

// Sends a request; the response if it is a success.  `credentials: "omit"` keeps the browser from asking for a password
// with a dialog of its own.
export async function send(method, path, { body, type, signal, accept } = {}) {
  const others = {};
  if (body !== undefined) others["Content-Type"] = type ?? "application/json";
  if (accept) others.Accept = accept;
  if (path.startsWith("redis")) others["Upstash-Encoding"] = "base64";
  const content = body === undefined || typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body);
  const password = sessionStorage.getItem(KEPT);
  const options = { method, headers: headers(password, others), body: content, signal, credentials: "omit", cache: "no-store" };
  const response = await answered(fetch(path, options));
  if (response.ok) return response;
  const told = await response.json().catch(() => ({}));
  const text = told.error ?? [told.title, told.detail].filter(Boolean).join(": ");
  // A request that was sent with an earlier password says nothing about the present one.
  if (response.status === 401 && password === sessionStorage.getItem(KEPT)) {
    events.dispatchEvent(new CustomEvent("login", { detail: password === null ? "" : "The password is wrong." }));
  }
  const refused = new Refused(text || `The server answered with status ${response.status}.`, response.status);
  refused.problem = told;
  throw refused;
}

// What comes of a request, or of its body.  A connection may break before the one and within the other.
async function answered(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refused("The server does not answer.", 0);
  }
}

// The object that the response is.
export const object = (response) => answered(response.json());

export const get = async (path, options) => object(await send("GET", path, options));

// Replies in JSON.  Integers that a number of JavaScript cannot hold stay exact where the browser tells how they were written.
async function replies(path, body) {
  const text = await answered((await send("POST", path, { body })).text());
  return JSON.parse(text, (_, value, context) =>
    typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context.source) : value);
}

// The reply of a command, as nested arrays, numbers, null, the text OK, and `Bytes`.  An error reply is thrown.
export async function command(...words) {
  const { result } = await replies("redis", words.map(argument));
  return decode(result);
}

// The replies of several commands in a database; each is a reply or a `Refused`.
export async function pipeline(database, commands) {
  const all = [["SELECT", database], ...commands.map((words) => words.map(argument))];
  const outcomes = await replies("redis/pipeline", all);
  // Without its database a command must not count as run.
  if (outcomes[0].error !== undefined) throw new Refused(outcomes[0].error, 400);
  return outcomes.slice(1).map((outcome) =>
    outcome.error === undefined ? decode(outcome.result) : new Refused(outcome.error, 400));
}

// The same for one command, whose error is thrown.
export async function commandIn(database, ...words) {
  const [reply] = await pipeline(database, [words]);
  if (reply instanceof Refused) throw reply;
  return reply;
}

const argument = (word) => (word instanceof Bytes ? word.argument : word);

function decode(value) {
  if (Array.isArray(value)) return value.map(decode);
  // The status is the only text that is not in base64.
  return typeof value === "string" && value !== "OK" ? Bytes.ofBase64(value) : value;
}

// A name as a part of a path.
export const part = (name) => encodeURIComponent(name);
