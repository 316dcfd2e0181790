//! The live figures of the streams: what each stores, and how far its consumers are behind.

use serde_json::{Value, json};

use crate::command::Services;
use crate::stream::{ConsumerFigures, StreamFigures};

/// Streams that are shown one by one, the first by name.
const STREAMS_MAX: usize = 64;

/// Consumers that are shown of all streams together.
const CONSUMERS_MAX: usize = 128;

pub(super) fn figures(services: &Services) -> Value {
    let (figures, counted) = (services.streams.figures(), services.streams.counted());
    let consumers = || figures.iter().flat_map(|stream| &stream.consumers);
    let mut room = CONSUMERS_MAX;
    let shown: Vec<_> = figures.iter().take(STREAMS_MAX).map(|stream| of_stream(stream, &mut room)).collect();
    let sum = |figure: fn(&StreamFigures) -> u64| figures.iter().map(figure).sum::<u64>();
    let of_consumers = |figure: fn(&ConsumerFigures) -> u64| consumers().map(figure).sum::<u64>();
    json!({
        "streams": figures.len(),
        "consumers": consumers().count(),
        "messages": sum(|stream| stream.messages),
        "bytes": sum(|stream| stream.bytes),
        "pending": of_consumers(|consumer| consumer.pending),
        "ack_pending": of_consumers(|consumer| consumer.ack_pending),
        "stored": counted.stored,
        "removed": counted.removed,
        "refused": counted.refused,
        "by_stream": shown,
    })
}

/// The figures of a stream with those of its consumers, as long as there is `room` for these.
fn of_stream(stream: &StreamFigures, room: &mut usize) -> Value {
    let consumers: Vec<_> = stream.consumers.iter().take(*room).map(of_consumer).collect();
    *room -= consumers.len();
    json!({
        "stream": &*stream.name,
        "messages": stream.messages,
        "bytes": stream.bytes,
        "first": stream.first,
        "last": stream.last,
        "subjects": stream.subjects,
        "consumers": stream.consumers.len(),
        "by_consumer": consumers,
    })
}

fn of_consumer(consumer: &ConsumerFigures) -> Value {
    json!({
        "consumer": &*consumer.name,
        "pending": consumer.pending,
        "ack_pending": consumer.ack_pending,
        "redelivered": consumer.redelivered,
        "waiting": consumer.waiting,
    })
}
