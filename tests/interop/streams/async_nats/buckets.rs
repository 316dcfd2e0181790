//! Keys and values, and objects.

use std::time::Duration;

use async_nats::jetstream::consumer::pull;
use async_nats::jetstream::kv::{self, CreateErrorKind, Entry, Operation, Store, UpdateErrorKind, Watch};
use async_nats::jetstream::object_store::{self, GetErrorKind, ObjectMetadata};
use async_nats::jetstream::{Context, Message};
use futures_util::{StreamExt, TryStreamExt};
use tokio::io::AsyncReadExt;

use super::{info, named, numbers, prepared, text, until};

/// Several chunks, the last of them short.
const LARGE: usize = 500_001;

pub(super) async fn all(context: &Context) {
    put_and_got(context).await;
    deleted_and_purged(context).await;
    listed(context).await;
    watched(context).await;
    marked(context).await;
    objects(context).await;
}

async fn bucket(context: &Context, name: &str, history: i64) -> Store {
    let config = kv::Config { bucket: name.to_owned(), history, ..Default::default() };
    context.create_key_value(config).await.expect("it can be made")
}

fn told(entry: &Entry) -> (&str, u64, Operation, String) {
    (entry.key.as_str(), entry.revision, entry.operation, text(&entry.value))
}

async fn put_and_got(context: &Context) {
    let bucket = bucket(context, "VALUES", 3).await;
    assert_eq!(bucket.put("a", "1".into()).await.expect("it is stored"), 1);
    assert_eq!(bucket.create("b.c", "1".into()).await.expect("it is new"), 2);
    let error = bucket.create("b.c", "2".into()).await.expect_err("it is there");
    assert_eq!(error.kind(), CreateErrorKind::AlreadyExists);
    assert_eq!(bucket.update("a", "2".into(), 1).await.expect("it was so"), 3);
    let error = bucket.update("a", "3".into(), 1).await.expect_err("it was not so");
    assert_eq!(error.kind(), UpdateErrorKind::WrongLastRevision);
    assert_eq!(bucket.get("a").await.expect("it tells").as_deref(), Some(&b"2"[..]));
    assert_eq!(bucket.get("nothing").await.expect("it tells"), None);
    let entry = bucket.entry_for_revision("a", 1).await.expect("it tells").expect("it is there");
    assert_eq!(told(&entry), ("a", 1, Operation::Put, "1".into()));
    let status = bucket.status().await.expect("it tells");
    // How many values there are is what it was when the bucket was made.
    assert_eq!((status.bucket(), status.values(), status.history()), ("VALUES", 0, 3));
}

async fn deleted_and_purged(context: &Context) {
    let bucket = bucket(context, "DELETED", 10).await;
    for (key, value) in [("a", "1"), ("b", "1")] {
        bucket.put(key, value.into()).await.expect("it is stored");
    }
    bucket.delete_expect_revision("a", Some(9)).await.expect_err("it was not so");
    bucket.delete("a").await.expect("it may be");
    bucket.purge("b").await.expect("it may be");
    assert_eq!(bucket.get("a").await.expect("it tells"), None);
    let history: Vec<Entry> =
        bucket.history("a").await.expect("it tells").try_collect().await.expect("it goes on");
    assert_eq!(
        history.iter().map(told).collect::<Vec<_>>(),
        [("a", 1, Operation::Put, "1".into()), ("a", 3, Operation::Delete, String::new())]
    );
    let history: Vec<Entry> =
        bucket.history("b").await.expect("it tells").try_collect().await.expect("it goes on");
    assert_eq!(history.iter().map(told).collect::<Vec<_>>(), [("b", 4, Operation::Purge, String::new())]);
    assert_eq!(bucket.create("a", "again".into()).await.expect("it is gone"), 5);
}

async fn listed(context: &Context) {
    let bucket = bucket(context, "KEYS", 1).await;
    let keys = async || {
        let keys = bucket.keys().await.expect("it tells");
        let mut keys: Vec<String> = keys.try_collect().await.expect("it goes on");
        keys.sort();
        keys
    };
    let mut names = Vec::new();
    for number in numbers(500) {
        names.push(format!("key.{number:0>4}"));
        bucket.put(&names[names.len() - 1], "x".into()).await.expect("it is stored");
    }
    bucket.delete(&names[7]).await.expect("it may be");
    names.remove(7);
    assert_eq!(keys().await, names);
}

async fn next(watch: &mut Watch) -> (String, u64, Operation, String) {
    let entry = watch.next().await.expect("it goes on").expect("it comes");
    let (key, revision, operation, value) = told(&entry);
    (key.to_owned(), revision, operation, value)
}

async fn watched(context: &Context) {
    let bucket = bucket(context, "WATCHED", 3).await;
    for (key, value) in [("a", "1"), ("b", "1"), ("a", "2")] {
        bucket.put(key, value.into()).await.expect("it is stored");
    }
    let mut news = bucket.watch_all().await.expect("it can be");
    let mut histories = bucket.watch_with_history("a").await.expect("it can be");
    // What this library calls history begins with the last value.
    assert_eq!(next(&mut histories).await, ("a".into(), 3, Operation::Put, "2".into()));
    bucket.put("c", "1".into()).await.expect("it is stored");
    bucket.delete("a").await.expect("it may be");
    assert_eq!(next(&mut news).await, ("c".into(), 4, Operation::Put, "1".into()));
    assert_eq!(next(&mut news).await, ("a".into(), 5, Operation::Delete, String::new()));
    assert_eq!(next(&mut histories).await, ("a".into(), 5, Operation::Delete, String::new()));
    let mut later = bucket.watch_all_from_revision(3).await.expect("it can be");
    assert_eq!(next(&mut later).await, ("a".into(), 3, Operation::Put, "2".into()));
}

async fn marked(context: &Context) {
    let markers = Some(Duration::from_secs(2));
    let config = kv::Config { bucket: "MARKED".to_owned(), limit_markers: markers, ..Default::default() };
    let bucket = context.create_key_value(config).await.expect("it can be made");
    let mut news = bucket.watch_all().await.expect("it can be");
    bucket.create_with_ttl("brief", "1".into(), Duration::from_secs(1)).await.expect("it is new");
    assert_eq!(next(&mut news).await, ("brief".into(), 1, Operation::Put, "1".into()));
    assert_eq!(next(&mut news).await, ("brief".into(), 2, Operation::Purge, String::new()));
    let stream = context.get_stream("KV_MARKED").await.expect("it is there");
    until(async || info(&stream).await.state.messages == 0).await;
}

async fn objects(context: &Context) {
    let config = object_store::Config { bucket: "FILES".to_owned(), ..Default::default() };
    let mut store = context.create_object_store(config).await.expect("it can be made");
    let large: Vec<u8> = (0..LARGE).map(|index| (index % 251) as u8).collect();
    let stored = store.put("large", &mut large.as_slice()).await.expect("it is stored");
    assert_eq!((stored.size, stored.chunks), (LARGE, 4));
    let metadata = ObjectMetadata { name: "text".to_owned(), chunk_size: Some(2), ..Default::default() };
    assert_eq!(store.put(metadata, &mut &b"hello"[..]).await.expect("it is stored").size, 5);
    for (name, expected) in [("large", large.as_slice()), ("text", b"hello")] {
        let mut read = Vec::new();
        store.get(name).await.expect("it is there").read_to_end(&mut read).await.expect("it comes");
        assert!(read == expected, "{name}");
    }
    let mut watch = store.watch_with_history().await.expect("it can be");
    assert_eq!(watch.next().await.expect("it goes on").expect("it comes").name, "large");
    store.delete("large").await.expect("it is there");
    let error = store.get("large").await.map(drop).expect_err("it is deleted");
    assert_eq!(error.kind(), GetErrorKind::NotFound);
    assert_eq!(watch.next().await.expect("it goes on").expect("it comes").name, "text");
    assert!(watch.next().await.expect("it goes on").expect("it comes").deleted);
    let left: Vec<_> = store.list().await.expect("it tells").try_collect().await.expect("it goes on");
    assert_eq!(left.iter().map(|object| object.name.as_str()).collect::<Vec<_>>(), ["text"]);
    store.seal().await.expect("it may be");
    assert!(store.put("more", &mut &b"x"[..]).await.is_err());
}

/// What outlives the server, which `restart` restarts.
pub(super) async fn outlive(context: &Context, restart: impl AsyncFnOnce()) {
    let stream = prepared(context, named("OUTLIVING"), 100).await;
    let config = pull::Config {
        durable_name: Some("workers".to_owned()),
        ack_wait: Duration::from_secs(3600),
        ..Default::default()
    };
    let consumer = stream.create_consumer(config).await.expect("it can be made");
    let batch = consumer.fetch().max_messages(60).messages().await.expect("it can be read");
    let found: Vec<Message> = batch.try_collect().await.expect("they come");
    for message in &found[..50] {
        message.double_ack().await.expect("it is known");
    }
    let bucket = bucket(context, "OUTLIVING", 5).await;
    bucket.put("a", "1".into()).await.expect("it is stored");
    restart().await;
    let state = info(&stream).await.state;
    assert_eq!((state.messages, state.first_sequence, state.last_sequence), (100, 1, 100));
    let told = consumer.get_info().await.expect("it is there");
    assert_eq!((told.ack_floor.stream_sequence, told.delivered.stream_sequence), (50, 60));
    assert_eq!((told.num_ack_pending, told.num_pending), (10, 40));
    let batch = consumer.fetch().max_messages(60).messages().await.expect("it can be read");
    let rest: Vec<Message> = batch.try_collect().await.expect("they come");
    let texts: Vec<String> = rest.iter().map(|message| text(&message.payload)).collect();
    assert_eq!(texts, numbers(100)[60..]);
    assert_eq!(bucket.update("a", "2".into(), 1).await.expect("it was so"), 2);
    let history: Vec<Entry> =
        bucket.history("a").await.expect("it tells").try_collect().await.expect("it goes on");
    assert_eq!(history.iter().map(|entry| text(&entry.value)).collect::<Vec<_>>(), ["1", "2"]);
}
