//! The figures of the durable streams: what moves them.

use super::figures::Step;
use crate::support::broker::BrokerClient;

/// Streams are made, stored to, read and purged.
pub(super) const STEP: Step = (
    "streams are used",
    |stage| {
        for line in [
            "STREAM.CREATE FIGURES SUBJECTS 1 figures.>",
            "STREAM.PUBLISH figures.a text ID 1",
            "STREAM.PUBLISH figures.a text ID 1",
            "STREAM.PUBLISH figures.a text EXPECT LAST 99",
            "STREAM.PUBLISH figures.a text",
            "STREAM.PUBLISH figures.b text",
            "STREAM.PUBLISH figures.c text",
            "STREAM.PURGE FIGURES SUBJECT figures.b",
        ] {
            stage.client.ask(line);
        }
        let mut client = BrokerClient::quiet(stage.server.broker_address());
        client.write("SUB _INBOX.figures 1\r\n");
        for (subject, body) in [
            (
                "$JS.API.CONSUMER.DURABLE.CREATE.FIGURES.c",
                r#"{"stream_name":"FIGURES","config":{"durable_name":"c","ack_policy":"explicit"}}"#,
            ),
            ("$JS.API.CONSUMER.MSG.NEXT.FIGURES.c", "1"),
            ("$JS.API.STREAM.INFO.NOTHING", ""),
        ] {
            client.write(format!("PUB {subject} _INBOX.figures {}\r\n{body}\r\n", body.len()));
            client.read_until("\r\n");
            client.read_until("\r\n");
        }
    },
    &[
        "streams",
        "stream_consumers",
        "stream_messages",
        "stream_bytes",
        "stream_pending",
        "stream_ack_pending",
        "stream_journaled_messages",
        "stream_journal",
        "stream_messages_stored",
        "stream_messages_removed",
        "stream_messages_duplicate",
        "stream_messages_refused",
        "stream_api_requests",
        "stream_api_errors",
        "streams_journal_syncs",
        "quartet_streams",
        "quartet_stream_consumers",
        "quartet_stream_journaled_messages",
        "quartet_stream_events_total{event=\"stored\"}",
        "quartet_stream_events_total{event=\"removed\"}",
        "quartet_stream_events_total{event=\"duplicate\"}",
        "quartet_stream_events_total{event=\"refused\"}",
        "quartet_stream_requests_total",
        "quartet_stream_request_errors_total",
    ],
);
