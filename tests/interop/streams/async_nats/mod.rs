//! async-nats, the client for Rust, with streams, keys and objects.

mod buckets;
mod consumers;
mod definitions;

use std::sync::atomic::Ordering;
use std::time::Duration;

use ::async_nats::Client;
use ::async_nats::jetstream::stream::{Config, Info, Stream};
use ::async_nats::jetstream::{self, Context};
use tokio::runtime::Builder;

use super::{Keeping, programs};

/// How long to wait between two looks at a condition.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Whoever waits for so long waits in vain; it bounds a broken run, no working one depends on it.
const HANG_GUARD: Duration = Duration::from_secs(60);

#[test]
fn async_nats() {
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    for server in programs() {
        let mut server = Keeping::start(server);
        runtime.block_on(async {
            let client =
                ::async_nats::connect(server.port.address().to_string()).await.expect("the server listens");
            let mut context = jetstream::new(client.clone());
            context.set_timeout(HANG_GUARD);
            definitions::all(&context).await;
            consumers::all(&context).await;
            buckets::all(&context).await;
            buckets::outlive(&context, async || {
                server.restart();
                reconnected(&client).await;
            })
            .await;
        });
    }
}

/// Waits until the client has found its server again.
async fn reconnected(client: &Client) {
    while client.statistics().connects.load(Ordering::Relaxed) < 2 {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}

/// A stream with numbers published.
async fn prepared(context: &Context, config: Config, count: usize) -> Stream {
    let subjects = vec![format!("{}.*", config.name.to_lowercase())];
    let first = subjects[0].replace('*', "1");
    let stream = context.create_stream(Config { subjects, ..config }).await.expect("it can be made");
    for number in numbers(count) {
        context.publish(first.clone(), number.into()).await.expect("it is sent").await.expect("it is stored");
    }
    stream
}

fn named(name: &str) -> Config {
    Config { name: name.to_owned(), ..Config::default() }
}

fn numbers(count: usize) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

fn text(payload: &[u8]) -> String {
    String::from_utf8(payload.to_vec()).expect("it is text")
}

async fn info(stream: &Stream) -> Info {
    stream.get_info().await.expect("it is there")
}

/// Waits until an asynchronous condition holds.
async fn until(condition: impl AsyncFn() -> bool) {
    while !condition().await {
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
}
