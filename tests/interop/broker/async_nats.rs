//! async-nats, the client for Rust.

use std::collections::BTreeSet;
use std::iter;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::client::RequestErrorKind;
use async_nats::{Client, HeaderMap, Message, Subscriber};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use tokio::task::unconstrained;

use super::{Restartable, programs};

const MESSAGES: usize = 1_000;
const REQUESTS: usize = 50;

/// How long to wait between two looks at whether a client is back.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

#[test]
fn async_nats() {
    let runtime = ::tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for server in programs() {
        let mut server = Restartable::start(server);
        runtime.block_on(async {
            let (client, other) = (open(&server).await, open(&server).await);
            assert!(client.server_info().headers);
            assert_eq!(client.server_info().max_payload, 1 << 20);
            publish_and_subscribe(&client, &other).await;
            wildcards(&client, &other).await;
            queue_groups(&client, &other).await;
            request_and_reply(&client, &other).await;
            no_responders(&client).await;
            headers(&client, &other).await;
            burst(&client, &other).await;
            drain(&other, &open(&server).await).await;
            reconnect(&client, &other, || server.restart()).await;
        });
    }
}

async fn open(server: &Restartable) -> Client {
    ::async_nats::connect(server.port.address().to_string()).await.expect("the server listens")
}

async fn subscribe(client: &Client, subject: &str) -> Subscriber {
    let subscription = client.subscribe(subject.to_owned()).await.expect("a subject");
    settle(client).await;
    subscription
}

/// Waits until the server has seen all that was sent before and the client what came of it.  A flush of this library
/// waits for the socket alone; a message to oneself comes behind all others.
async fn settle(client: &Client) {
    let inbox = client.new_inbox();
    let mut last = client.subscribe(inbox.clone()).await.expect("a subject");
    publish(client, &inbox, "").await;
    next(&mut last).await;
}

async fn publish(client: &Client, subject: &str, payload: impl AsRef<[u8]>) {
    let payload = payload.as_ref().to_vec();
    client.publish(subject.to_owned(), payload.into()).await.expect("a connection");
}

async fn next(subscription: &mut Subscriber) -> Message {
    subscription.next().await.expect("the subscription lives")
}

/// What has arrived at each subscription once the client has settled.
async fn gathered(client: &Client, all: &mut [Subscriber]) -> Vec<Vec<String>> {
    settle(client).await;
    let ready = |subscription: &mut Subscriber| {
        let messages = iter::from_fn(|| unconstrained(subscription.next()).now_or_never().flatten());
        messages.map(|message| text(&message)).collect()
    };
    all.iter_mut().map(ready).collect()
}

fn text(message: &Message) -> String {
    String::from_utf8(message.payload.to_vec()).expect("it is text")
}

fn numbers() -> Vec<String> {
    (0..MESSAGES).map(|number| number.to_string()).collect()
}

async fn publish_and_subscribe(client: &Client, other: &Client) {
    let mut news = subscribe(client, "news").await;
    let everything: Vec<u8> = (0..=255).cycle().take(25_600).collect();
    let payloads: [&[u8]; 4] = [b"hello", b"", b"\r\n", &everything];
    for payload in payloads {
        publish(other, "news", payload).await;
    }
    for payload in payloads {
        assert_eq!(next(&mut news).await.payload, payload);
    }
    client.publish_with_reply("news", "answers", "mine".into()).await.expect("a connection");
    let message = next(&mut news).await;
    assert_eq!((message.reply.as_deref(), text(&message).as_str()), (Some("answers"), "mine"));
    news.unsubscribe_after(6).await.expect("a connection");
    publish(client, "news", "last").await;
    publish(client, "news", "lost").await;
    let rest: Vec<String> = news.map(|message| text(&message)).collect().await;
    assert_eq!(rest, ["last"]);
}

async fn wildcards(client: &Client, other: &Client) {
    let subjects = ["sports", "sports.ball", "sports.ball.foot", "sportsmen.ball"];
    let mut all = Vec::new();
    for pattern in ["sports", "sports.*", "sports.>", "*.ball", "*.*.*"] {
        all.push(subscribe(client, pattern).await);
    }
    for subject in subjects {
        publish(other, subject, subject).await;
    }
    settle(other).await;
    let expected: [&[&str]; 5] = [
        &["sports"],
        &["sports.ball"],
        &["sports.ball", "sports.ball.foot"],
        &["sports.ball", "sportsmen.ball"],
        &["sports.ball.foot"],
    ];
    assert_eq!(gathered(client, &mut all).await, expected);
}

async fn queue_groups(client: &Client, other: &Client) {
    let mut members = Vec::new();
    for one in [client, client, other] {
        members.push(one.queue_subscribe("jobs", "workers".to_owned()).await.expect("a subject"));
    }
    let mut outsider = subscribe(client, "jobs").await;
    settle(other).await;
    for number in numbers() {
        publish(client, "jobs", number).await;
    }
    for number in numbers() {
        assert_eq!(text(&next(&mut outsider).await), number);
    }
    let mut shares = gathered(client, &mut members[..2]).await;
    shares.extend(gathered(other, &mut members[2..]).await);
    let found: BTreeSet<&String> = shares.iter().flatten().collect();
    assert_eq!((found.len(), shares.concat().len()), (MESSAGES, MESSAGES));
    for share in &shares {
        assert!(!share.is_empty());
        assert!(share.is_sorted_by_key(|number| number.parse::<usize>().expect("it is a number")));
    }
}

async fn request_and_reply(client: &Client, other: &Client) {
    let service = subscribe(other, "shout").await;
    let answering = service.take(REQUESTS).for_each(|message| async move {
        let reply = message.reply.clone().expect("it is a request");
        other.publish(reply, format!("{}!", text(&message)).into()).await.expect("a connection");
    });
    let asking = join_all((0..REQUESTS).map(|number| async move {
        let answer = client.request("shout", format!("question {number}").into()).await.expect("an answer");
        assert_eq!(text(&answer), format!("question {number}!"));
    }));
    futures_util::future::join(answering, asking).await;
}

async fn no_responders(client: &Client) {
    let error = client.request("nobody", "?".into()).await.expect_err("nobody answers");
    assert_eq!(error.kind(), RequestErrorKind::NoResponders);
}

async fn headers(client: &Client, other: &Client) {
    let mut news = subscribe(client, "news.headers").await;
    let mut given = HeaderMap::new();
    given.append("Kind", "art");
    given.append("Kind", "music");
    given.append("kind", "other");
    other.publish_with_headers("news.headers", given.clone(), "payload".into()).await.expect("a connection");
    let message = next(&mut news).await;
    assert_eq!((message.headers.as_ref(), text(&message).as_str()), (Some(&given), "payload"));
}

async fn burst(client: &Client, other: &Client) {
    let mut subscription = subscribe(client, "numbers").await;
    for number in numbers() {
        publish(other, "numbers", number).await;
    }
    for number in numbers() {
        assert_eq!(text(&next(&mut subscription).await), number);
    }
}

async fn drain(other: &Client, third: &Client) {
    let words = subscribe(third, "last.words").await;
    for number in numbers() {
        publish(other, "last.words", number).await;
    }
    settle(other).await;
    third.drain().await.expect("a connection");
    let handled: Vec<String> = words.map(|message| text(&message)).collect().await;
    assert_eq!(handled, numbers());
}

async fn reconnect(client: &Client, other: &Client, restart: impl FnOnce()) {
    let mut news = subscribe(client, "news.again").await;
    restart();
    for one in [client, other] {
        while one.statistics().connects.load(Ordering::Relaxed) < 2 {
            ::tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }
    // Whoever is connected again subscribes anew before all else.
    settle(client).await;
    publish(other, "news.again", "hello again").await;
    assert_eq!(text(&next(&mut news).await), "hello again");
}
