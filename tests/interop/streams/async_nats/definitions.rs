//! Streams and what is published into them.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::Context;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind, PublishErrorKind};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, DirectGetErrorKind, DiscardPolicy, LastRawMessageErrorKind};
use futures_util::TryStreamExt;

use super::{info, named, numbers, prepared, text, until};

pub(super) async fn all(context: &Context) {
    made_changed_and_listed(context).await;
    refused(context).await;
    purged(context).await;
    got_and_deleted(context).await;
    got_directly(context).await;
    published(context).await;
    checked(context).await;
    lifetimes(context).await;
}

async fn made_changed_and_listed(context: &Context) {
    let account = context.query_account().await.expect("it tells");
    assert_eq!((account.streams, account.consumers, account.limits.max_streams), (0, 0, None));
    let config = Config {
        max_messages: 100,
        max_messages_per_subject: 50,
        max_bytes: 1 << 20,
        max_age: Duration::from_secs(3600),
        max_message_size: 1000,
        discard: DiscardPolicy::New,
        duplicate_window: Duration::from_secs(60),
        allow_direct: true,
        allow_rollup: true,
        description: Some("what is made".to_owned()),
        metadata: HashMap::from([("owner".to_owned(), "sales".to_owned())]),
        ..named("MADE")
    };
    let stream = prepared(context, config.clone(), 3).await;
    let made = &stream.cached_info().config;
    assert_eq!((made.max_messages, made.max_messages_per_subject, made.max_bytes), (100, 50, 1 << 20));
    assert_eq!((made.max_age, made.duplicate_window), (config.max_age, config.duplicate_window));
    assert_eq!((made.metadata["owner"].as_str(), made.num_replicas), ("sales", 1));
    let wanted = Config { max_messages: 200, ..made.clone() };
    let changed = context.update_stream(&wanted).await.expect("it can be changed");
    assert_eq!((changed.config.max_messages, changed.state.messages), (200, 3));
    let same = context.get_or_create_stream(named("MADE")).await.expect("it is there");
    assert_eq!(info(&same).await.created, changed.created);
    let also = context.create_or_update_stream(named("ALSO")).await.expect("it can be made");
    assert_eq!(also.config.subjects, ["ALSO"]);
    // The library gives a page from its end.
    let names: Vec<String> = context.stream_names().try_collect().await.expect("it tells");
    assert_eq!(names, ["MADE", "ALSO"]);
    let listed: Vec<_> = context.streams().try_collect().await.expect("it tells");
    assert_eq!(listed.iter().map(|info| info.config.name.as_str()).collect::<Vec<_>>(), ["MADE", "ALSO"]);
    assert_eq!(context.stream_by_subject("made.x").await.expect("it is there"), "MADE");
    let subjects: Vec<(String, usize)> =
        stream.info_with_subjects(">").await.expect("it tells").try_collect().await.expect("it goes on");
    assert_eq!(subjects, [("made.1".to_owned(), 3)]);
    for name in names {
        assert!(context.delete_stream(name).await.expect("it is there").success);
    }
}

async fn refused(context: &Context) {
    prepared(context, named("REFUSED"), 0).await;
    let overlapping = Config { subjects: vec!["refused.new".to_owned()], ..named("OVERLAPPING") };
    let error = context.create_stream(overlapping).await.expect_err("its subjects are taken");
    assert!(matches!(error.kind(), CreateStreamErrorKind::JetStream(error) if error.error_code().0 == 10065));
    let error = context.get_stream("NOBODY").await.expect_err("there is none");
    assert!(matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code().0 == 10059));
    let error = context.publish("nowhere", "?".into()).await.expect("it is sent").await.expect_err("nobody");
    assert_eq!(error.kind(), PublishErrorKind::StreamNotFound);
}

async fn purged(context: &Context) {
    let stream = prepared(context, named("PURGED"), 10).await;
    context.publish("purged.2", "x".into()).await.expect("it is sent").await.expect("it is stored");
    assert_eq!(stream.purge().filter("purged.1").keep(3).await.expect("it may be").purged, 7);
    assert_eq!(stream.purge().sequence(10).await.expect("it may be").purged, 2);
    assert_eq!(stream.purge().await.expect("it may be").purged, 2);
    let state = info(&stream).await.state;
    assert_eq!((state.messages, state.first_sequence, state.last_sequence), (0, 12, 11));
}

async fn got_and_deleted(context: &Context) {
    let stream = prepared(context, named("GOT"), 3).await;
    let mut headers = HeaderMap::new();
    headers.append("Kind", "art");
    let stored = context.publish_with_headers("got.2", headers.clone(), "".into()).await.expect("it is sent");
    assert_eq!(stored.await.expect("it is stored").sequence, 4);
    let message = stream.get_raw_message(2).await.expect("it is there");
    assert_eq!(
        (message.subject.as_str(), message.sequence, text(&message.payload)),
        ("got.1", 2, "1".into())
    );
    let message = stream.get_last_raw_message_by_subject("got.2").await.expect("it is there");
    assert_eq!((message.sequence, &message.headers), (4, &headers));
    let message = stream.get_first_raw_message_by_subject("got.*", 3).await.expect("it is there");
    assert_eq!(message.sequence, 3);
    assert!(stream.delete_message(2).await.expect("it is there"));
    let error = stream.get_raw_message(2).await.expect_err("it is deleted");
    assert_eq!(error.kind(), LastRawMessageErrorKind::NoMessageFound);
    assert_eq!(info(&stream).await.state.deleted_count, Some(1));
}

async fn got_directly(context: &Context) {
    let stream = prepared(context, Config { allow_direct: true, ..named("DIRECT") }, 3).await;
    let message = stream.direct_get(2).await.expect("it is there");
    assert_eq!(
        (message.subject.as_str(), message.sequence, text(&message.payload)),
        ("direct.1", 2, "1".into())
    );
    assert_eq!(stream.direct_get_last_for_subject("direct.1").await.expect("it is there").sequence, 3);
    let next = stream.direct_get_next_for_subject("direct.*", Some(2)).await.expect("it is there");
    assert_eq!(next.sequence, 2);
    let error = stream.direct_get(9).await.expect_err("there is none");
    assert_eq!(error.kind(), DirectGetErrorKind::NotFound);
}

async fn published(context: &Context) {
    let stream = prepared(context, named("PUBLISHED"), 0).await;
    let mut awaited = Vec::new();
    for number in numbers(1000) {
        awaited.push(context.publish("published.1", number.into()).await.expect("it is sent"));
    }
    for (number, acknowledged) in awaited.into_iter().enumerate() {
        assert_eq!(acknowledged.await.expect("it is stored").sequence, number as u64 + 1);
    }
    assert_eq!(text(&stream.get_raw_message(500).await.expect("it is there").payload), "499");
}

async fn checked(context: &Context) {
    prepared(context, named("CHECKED"), 0).await;
    let publish = async |message: PublishMessage| {
        context.send_publish("checked.1", message).await.expect("it is sent").await
    };
    let first = publish(PublishMessage::build().message_id("a").expected_last_subject_sequence(0)).await;
    let first = first.expect("it is stored");
    assert_eq!((first.stream.as_str(), first.sequence, first.duplicate), ("CHECKED", 1, false));
    let again = publish(PublishMessage::build().message_id("a")).await.expect("it is known");
    assert_eq!((again.sequence, again.duplicate), (1, true));
    let wrong = [
        (PublishMessage::build().expected_last_sequence(7), PublishErrorKind::WrongLastSequence),
        (PublishMessage::build().expected_last_subject_sequence(7), PublishErrorKind::WrongLastSequence),
        (PublishMessage::build().expected_last_message_id("b"), PublishErrorKind::WrongLastMessageId),
        (PublishMessage::build().expected_stream("OTHER"), PublishErrorKind::Other),
    ];
    for (message, kind) in wrong {
        assert_eq!(publish(message).await.expect_err("it is not so").kind(), kind);
    }
    let right = PublishMessage::build().expected_last_message_id("a").expected_last_sequence(1);
    assert_eq!(publish(right.expected_stream("CHECKED")).await.expect("it is so").sequence, 2);
}

async fn lifetimes(context: &Context) {
    let marked = Some(Duration::from_secs(1));
    let config = Config { allow_message_ttl: true, subject_delete_marker_ttl: marked, ..named("LIFETIMES") };
    let stream = prepared(context, config, 1).await;
    let brief = PublishMessage::build().payload("brief".into()).ttl(Duration::from_secs(1));
    context.send_publish("lifetimes.2", brief).await.expect("it is sent").await.expect("it is stored");
    until(async || info(&stream).await.state.last_sequence == 3).await;
    until(async || info(&stream).await.state.messages == 1).await;
    assert_eq!(text(&stream.get_raw_message(1).await.expect("it stays").payload), "0");
}
