//! A message that is damaged on the disk: clients get all others, and no error in its place.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use ::async_nats::jetstream::consumer::{PullConsumer, pull};
use ::async_nats::jetstream::stream::{Config, Stream};
use ::async_nats::jetstream::{self, Message};
use futures_util::{StreamExt, TryStreamExt};
use tokio::runtime::Builder;

use super::Keeping;
use super::programs::script;
use crate::interop::broker::Program;
use crate::support::peers;
use crate::support::program::Running;

/// The messages of the stream, the third of which is damaged.
const TEXTS: [&str; 6] =
    ["the 1st text", "the 2nd text", "the 3rd text", "the 4th text", "the 5th text", "the 6th text"];

/// The sequences that can be read.
const READABLE: [u64; 5] = [1, 2, 4, 5, 6];

/// How often the message is damaged until nobody can read it: the server may be moving it to another file just then.
const ATTEMPTS: usize = 100;

/// Changes a byte of a text in all files of a folder that have it.
fn spoil(folder: &Path, text: &[u8]) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let contents = std::fs::read(&path).unwrap_or_default();
        for (place, _) in contents.windows(text.len()).enumerate().filter(|(_, window)| *window == text) {
            // A file of the journal goes once a snapshot has what is in it.
            let Ok(file) = OpenOptions::new().write(true).open(&path) else { continue };
            file.write_all_at(b"!", place as u64).expect("it is written");
        }
    }
}

/// Makes the stream, and damages a message of it.
async fn prepared(server: &Keeping) -> Stream {
    let client = ::async_nats::connect(server.port.address().to_string()).await.expect("the server listens");
    let context = jetstream::new(client);
    let config =
        Config { name: "DAMAGED".to_owned(), subjects: vec!["damaged".to_owned()], ..Config::default() };
    let stream = context.create_stream(config).await.expect("it can be made");
    for text in TEXTS {
        context.publish("damaged", text.into()).await.expect("it is sent").await.expect("it is stored");
    }
    for _ in 0..ATTEMPTS {
        ["journal", "streams"]
            .iter()
            .for_each(|part| spoil(&server.folder.path().join(part), TEXTS[2].as_bytes()));
        if stream.get_raw_message(3).await.is_err() {
            return stream;
        }
    }
    panic!("the message can be read");
}

async fn consumer(stream: &Stream, name: &str) -> PullConsumer {
    let config = pull::Config { durable_name: Some(name.to_owned()), ..pull::Config::default() };
    stream.create_consumer(config).await.expect("it can be made")
}

fn sequences(messages: &[Message]) -> Vec<u64> {
    messages.iter().map(|message| message.info().expect("it has numbers").stream_sequence).collect()
}

async fn by_async_nats(stream: &Stream) {
    let fetched =
        consumer(stream, "fetch").await.fetch().max_messages(6).messages().await.expect("it is asked");
    assert_eq!(sequences(&fetched.try_collect::<Vec<_>>().await.expect("no error comes")), READABLE);
    let batch =
        consumer(stream, "batch").await.batch().max_messages(5).messages().await.expect("it is asked");
    assert_eq!(sequences(&batch.try_collect::<Vec<_>>().await.expect("no error comes")), READABLE);
    let endless = consumer(stream, "endless").await.messages().await.expect("it is asked");
    let five: Vec<_> = endless.take(5).try_collect().await.expect("no error comes");
    assert_eq!(sequences(&five), READABLE);
}

/// Has a program read the stream in its ways, each of which finds what can be read.
fn by_program(mut command: Command, server: &Keeping, ways: &[&str]) {
    command.arg(server.port.address().to_string());
    let ended = Running::start(command).end().success();
    let expected: Vec<String> = ways.iter().map(|way| format!("{way}: 1 2 4 5 6")).collect();
    assert_eq!(ended.stdout.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn clients_get_all_messages_but_the_damaged_one() {
    let server = Keeping::start(Program::Quartet);
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = prepared(&server).await;
        by_async_nats(&stream).await;
    });
    if let Some(python) = peers::python(&["nats"]) {
        by_program(
            script(&python, "python/nats_damaged.py"),
            &server,
            &["fetch 6", "fetch 2", "fetch 1", "pushed"],
        );
    }
    if let Some(node) = peers::node("@nats-io/jetstream") {
        by_program(script(&node, "node/nats_damaged.js"), &server, &["fetch", "next", "consume", "ordered"]);
    }
}
