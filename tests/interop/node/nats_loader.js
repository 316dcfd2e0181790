// Loads packages that are written for `require` into a page, and tells the server of the page what has happened.

const PACKAGES = {
  "@nats-io/jetstream": "@nats-io/jetstream/lib/mod.js",
  "@nats-io/jetstream/internal": "@nats-io/jetstream/lib/internal_mod.js",
  "@nats-io/kv": "@nats-io/kv/lib/mod.js",
  "@nats-io/nats-core": "@nats-io/nats-core/lib/mod.js",
  "@nats-io/nats-core/internal": "@nats-io/nats-core/lib/internal_mod.js",
  "@nats-io/nkeys": "@nats-io/nkeys/lib/mod.js",
  "@nats-io/nuid": "@nats-io/nuid/lib/mod.js",
  tweetnacl: "tweetnacl/nacl-fast.js",
};
const loaded = new Map();

/** The package of this name. */
export const load = (name) => load_file(PACKAGES[name]);

function load_file(path) {
  if (loaded.has(path)) return loaded.get(path).exports;
  const module = { exports: {} };
  loaded.set(path, module);
  const request = new XMLHttpRequest();
  request.open("GET", `/modules/${path}`, false);
  request.send();
  if (request.status !== 200) throw new Error(`${path} is missing`);
  const require = (name) => {
    // The signing package asks for Node's source of random numbers where there is no browser's.
    if (name === "crypto") return undefined;
    if (name in PACKAGES) return load(name);
    const target = new URL(name, `http://modules/${path}`).pathname.slice(1);
    return load_file(target.endsWith(".js") ? target : `${target}.js`);
  };
  new Function("require", "module", "exports", request.responseText)(require, module, module.exports);
  return module.exports;
}

/** Has `import` find packages of these names from now on. */
export function offer(names) {
  const imports = {};
  globalThis.offered = Object.fromEntries(names.map((name) => [name, load(name)]));
  for (const name of names) {
    const members = Object.keys(globalThis.offered[name]).filter((member) => member !== "default");
    const text = `export const { ${members.join(", ")} } = globalThis.offered[${JSON.stringify(name)}];`;
    imports[name] = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  }
  const map = document.createElement("script");
  map.type = "importmap";
  map.textContent = JSON.stringify({ imports });
  document.head.append(map);
}

let told = Promise.resolve();

/** Tells the server of the page a line, behind all lines before. */
export const tell = (line) => (told = told.then(() => fetch("/said", { method: "POST", body: line })));

/** Where the page is to connect to. */
export const servers = () => new URLSearchParams(location.search).get("servers");

/** Does the work of the page, and tells of its end or of what failed. */
export async function guard(work) {
  try {
    await work();
    await tell("end");
  } catch (error) {
    await tell(`failed: ${error.stack}`);
  }
}
