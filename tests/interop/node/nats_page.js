// The page in which @nats-io/nats-core runs in a browser, and its loader: the package is written for `require`.
//
// The page tells the server it came from each step that has passed, then `end`, or what failed.

const PACKAGES = { "@nats-io/nats-core": "lib/mod.js", "@nats-io/nkeys": "lib/mod.js", "@nats-io/nuid": "lib/mod.js", tweetnacl: "nacl-fast.js" };
const loaded = new Map();

function load(path) {
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
    if (name in PACKAGES) return load(`${name}/${PACKAGES[name]}`);
    const target = new URL(name, `http://modules/${path}`).pathname.slice(1);
    return load(target.endsWith(".js") ? target : `${target}.js`);
  };
  new Function("require", "module", "exports", request.responseText)(require, module, module.exports);
  return module.exports;
}

let told = Promise.resolve();
const tell = (line) => (told = told.then(() => fetch("/said", { method: "POST", body: line })));

try {
  const { play } = await import("/nats_steps.js");
  const nats = load("@nats-io/nats-core/lib/mod.js");
  const servers = new URLSearchParams(location.search).get("servers");
  await play(nats, () => nats.wsconnect({ servers }), tell);
  await tell("end");
} catch (error) {
  await tell(`failed: ${error.stack}`);
}
