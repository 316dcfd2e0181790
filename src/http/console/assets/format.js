// Numbers, times and bytes as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

// A number in full: 12,345.
export const count = (number) => whole.format(number ?? 0);

// A number in few characters: 12.3K.
export const brief = (number) => short.format(number ?? 0);

// A rate: one decimal place below ten.
export function rate(number) {
  if (number === null || number === undefined) return "–";
  return number > 0 && number < 10 ? number.toFixed(1) : number < 100_000 ? count(number) : brief(number);
}

export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let unit = 0;
  let value = number ?? 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

// A duration in microseconds.
export function micros(number) {
  if (number === null || number === undefined) return "–";
  if (number < 1000) return `${number} µs`;
  if (number < 1_000_000) return `${(number / 1000).toFixed(number < 10_000 ? 1 : 0)} ms`;
  return `${(number / 1_000_000).toFixed(1)} s`;
}

// A duration in milliseconds, in its two largest units.
export function millis(number) {
  if (number === null || number === undefined) return "–";
  if (number < 1000) return `${number} ms`;
  const seconds = Math.floor(number / 1000);
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  let rest = seconds;
  const said = [];
  for (const [length, unit] of parts) {
    const amount = Math.floor(rest / length);
    rest -= amount * length;
    if (amount > 0) said.push(`${amount} ${unit}`);
    if (said.length === 2) break;
  }
  return said.join(" ");
}

export function percent(part, all) {
  return all > 0 ? `${((100 * part) / all).toFixed(1)} %` : "–";
}

// The beginning of a text that may be of any length.
export const cut = (text, length) => (text.length > length ? `${text.slice(0, length)}…` : text);

// Characters of a name that are shown where it only has to be told from others.
const NAME_LENGTH = 200;

const strict = new TextDecoder("utf-8", { fatal: true });

// Bytes from the server: a key, a name or a value, which may be anything.
export class Bytes {
  constructor(array) {
    this.array = array;
    try {
      this.text = strict.decode(array);
    } catch {
      this.text = null;
    }
  }

  static of(text) {
    return new Bytes(new TextEncoder().encode(text));
  }

  static ofBase64(base64) {
    const binary = atob(base64);
    return new Bytes(Uint8Array.from(binary, (character) => character.charCodeAt(0)));
  }

  // From hexadecimal digits, as deep links have them.
  static ofHex(digits) {
    return new Bytes(Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16)));
  }

  get hex() {
    return Array.from(this.array, hexOf).join("");
  }

  get base64() {
    return btoa(Array.from(this.array, (byte) => String.fromCharCode(byte)).join(""));
  }

  // Whether a field for text can show it and give it back as it was.
  get isPlain() {
    return this.text !== null && !/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069\ufeff]/u.test(this.text);
  }

  // On one line, with bytes that cannot be seen as `\x00`, like redis-cli.  Characters that turn the direction of text
  // could make one key look like another, so they are written out too.
  get shown() {
    if (this.text === null) {
      return Array.from(this.array, (byte) => (byte >= 32 && byte < 127 ? ascii(byte) : `\\x${hexOf(byte)}`)).join("");
    }
    return escape(this.text);
  }

  // The same with quotes.
  get quoted() {
    return `"${this.shown.replaceAll('"', '\\"')}"`;
  }

  // The beginning of it, as a name.
  get name() {
    return this.array.length === 0 ? "(empty name)" : cut(this.shown, NAME_LENGTH);
  }

  // As an argument of a command in JSON.
  get argument() {
    return this.text === null ? { base64: this.base64 } : this.text;
  }
}

const hexOf = (byte) => byte.toString(16).padStart(2, "0");
const ascii = (byte) => (byte === 92 ? "\\\\" : String.fromCharCode(byte));

const NAMED = { "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t" };

function escape(text) {
  return text.replace(/[\\\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu, (character) =>
    NAMED[character] ?? (character < "\u0100" ? `\\x${hexOf(character.charCodeAt(0))}` : `\\u${character.charCodeAt(0).toString(16)}`));
}

// Text of the server (an owner, a subject, a client's name) on one line.
export const shown = (text) => escape(String(text ?? ""));
