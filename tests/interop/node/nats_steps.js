// What the clients of @nats-io do, on Node and in the browser.
//
// Each function is a step; its name is printed once it has passed.  The last one asks for a restart of the server.

const MESSAGES = 1000;
const REQUESTS = 50;

function same(found, expected) {
  const [is, should] = [JSON.stringify(found), JSON.stringify(expected)];
  if (is !== should) throw new Error(`${is.slice(0, 500)} is not ${should.slice(0, 500)}`);
}

const bytes = (message) => Array.from(message.data);
const numbers = Array.from({ length: MESSAGES }, (_, number) => String(number));

/** The next messages of a subscription. */
async function next(subscription, count) {
  const messages = [];
  if (count === 0) return messages;
  for await (const message of subscription) if (messages.push(message) === count) break;
  return messages;
}

/** The messages that a subscription has received when its client has had an answer to a PING. */
function gathered(client, subject, options = {}) {
  const messages = [];
  const callback = (error, message) => {
    if (error) throw error;
    messages.push(message);
  };
  return { messages, subscription: client.subscribe(subject, { ...options, callback }) };
}

async function connect({ client }) {
  same(client.info.max_payload, 1 << 20);
  same(client.info.headers, true);
  same(client.info.version.split(".")[0], "2");
  if (!((await client.rtt()) >= 0)) throw new Error("no round trip");
}

async function publish_and_subscribe({ client, other }) {
  const news = gathered(client, "news");
  await client.flush();
  const everything = Uint8Array.from({ length: 25600 }, (_, index) => index % 256);
  for (const payload of ["hello", "", "\r\n", everything]) other.publish("news", payload);
  await other.flush();
  client.publish("news", "mine", { reply: "answers" });
  await client.flush();
  same(news.messages.slice(0, 3).map((message) => message.string()), ["hello", "", "\r\n"]);
  same(bytes(news.messages[3]), Array.from(everything));
  same([news.messages[4].string(), news.messages[4].reply, news.messages[4].subject], ["mine", "answers", "news"]);
  news.subscription.unsubscribe(6);
  client.publish("news", "last");
  client.publish("news", "lost");
  await client.flush();
  same(news.messages.map((message) => message.string()).slice(5), ["last"]);
}

async function wildcards({ client, other }) {
  const subjects = ["sports", "sports.ball", "sports.ball.foot", "sportsmen.ball"];
  const patterns = ["sports", "sports.*", "sports.>", "*.ball", ">", "*.*.*"];
  const all = patterns.map((pattern) => gathered(client, pattern));
  await client.flush();
  subjects.forEach((subject) => other.publish(subject, subject));
  await other.flush();
  await client.flush();
  same(all.map(({ messages }) => messages.map((message) => message.subject)), [
    ["sports"],
    ["sports.ball"],
    ["sports.ball", "sports.ball.foot"],
    ["sports.ball", "sportsmen.ball"],
    subjects,
    ["sports.ball.foot"],
  ]);
  all.forEach(({ subscription }) => subscription.unsubscribe());
}

async function queue_groups({ client, other }) {
  const members = [client, client, other].map((one) => gathered(one, "jobs", { queue: "workers" }));
  const outsider = gathered(other, "jobs");
  await client.flush();
  await other.flush();
  numbers.forEach((number) => client.publish("jobs", number));
  await client.flush();
  await other.flush();
  const shares = members.map(({ messages }) => messages.map((message) => Number(message.string())));
  const ordered = (share) => share.toSorted((left, right) => left - right);
  same(ordered(shares.flat()), numbers.map(Number));
  for (const share of shares) {
    if (share.length === 0) throw new Error("a member got nothing");
    same(share, ordered(share));
  }
  same(outsider.messages.map((message) => message.string()), numbers);
  [...members, outsider].forEach(({ subscription }) => subscription.unsubscribe());
}

async function request_and_reply({ client, other }) {
  const callback = (_, message) => message.respond(`${message.string()}!`);
  const service = other.subscribe("shout", { callback });
  await other.flush();
  const questions = Array.from({ length: REQUESTS }, (_, number) => `question ${number}`);
  const answers = await Promise.all(questions.map((question) => client.request("shout", question)));
  same(answers.map((message) => message.string()), questions.map((question) => `${question}!`));
  const alone = await client.request("shout", "alone", { noMux: true, timeout: 60000 });
  same(alone.string(), "alone!");
  service.unsubscribe();
  await other.flush();
}

async function no_responders({ client, nats }) {
  for (const noMux of [false, true]) {
    const error = await client.request("nobody", "?", { timeout: 60000, noMux }).then(
      () => new Error("nobody answers"),
      (error) => error,
    );
    const is = (one) => one instanceof nats.errors.NoRespondersError;
    if (!is(error) && !is(error.cause)) throw error;
  }
}

async function headers({ client, other, nats }) {
  const news = gathered(client, "news.headers");
  await client.flush();
  const given = nats.headers();
  given.append("Kind", "art");
  given.append("Kind", "music");
  given.append("kind", "other");
  other.publish("news.headers", "payload", { headers: given });
  other.publish("news.headers", "", { headers: nats.headers() });
  await other.flush();
  await client.flush();
  const [first, second] = news.messages;
  same([first.string(), first.headers.values("Kind"), first.headers.values("kind")], ["payload", ["art", "music"], ["other"]]);
  same([second.string(), second.headers?.keys() ?? []], ["", []]);
  news.subscription.unsubscribe();
}

async function burst({ client, other }) {
  const subscription = client.subscribe("numbers");
  await client.flush();
  numbers.forEach((number) => other.publish("numbers", number));
  same((await next(subscription, MESSAGES)).map((message) => message.string()), numbers);
}

async function drain({ client, other, open }) {
  const third = await open();
  const handled = [];
  const callback = (_, message) => {
    handled.push(message.string());
    message.respond("seen");
  };
  third.subscribe("last.words", { callback });
  await third.flush();
  const answers = client.subscribe("seen");
  await client.flush();
  numbers.forEach((number) => other.publish("last.words", number, { reply: "seen" }));
  await other.flush();
  await third.drain();
  same(third.isClosed(), true);
  same(handled, numbers);
  same((await next(answers, MESSAGES)).length, MESSAGES);
}

async function reconnect({ client, other, print }) {
  const subscription = client.subscribe("news.again");
  await client.flush();
  const back = [client, other].map(async (one) => {
    for await (const status of one.status()) if (status.type === "reconnect") return;
  });
  print("restart");
  await Promise.all(back);
  await client.flush();
  other.publish("news.again", "hello again");
  same((await next(subscription, 1))[0].string(), "hello again");
}

/** Does all steps with two connections that `open` makes, and those in `more` before the server is restarted. */
export async function play(nats, open, print, more = []) {
  const [client, other] = [await open(), await open()];
  const steps = [
    connect,
    publish_and_subscribe,
    wildcards,
    queue_groups,
    request_and_reply,
    no_responders,
    headers,
    burst,
    drain,
    ...more,
    reconnect,
  ];
  for (const step of steps) {
    await step({ client, other, nats, open, print });
    print(step.name);
  }
  await client.close();
  await other.close();
}
