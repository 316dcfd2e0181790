//! The metrics of the streams.

use crate::command::Services;
use crate::metrics::exposition::Exposition;
use crate::stream::figures::{ConsumerFigures, StreamFigures};

/// Streams that have samples of their own, the first by name; the others are summed.
pub(super) const STREAMS_MAX: usize = 256;

/// Consumers that have samples of their own, the first by the names of streams and consumers; the others are summed.
pub(super) const CONSUMERS_MAX: usize = 1024;

/// Stands for all streams, or all consumers, that have no samples of their own.  None of them can have this name.
const OTHERS: &str = "all others";

/// A consumer with the name of its stream.
type Consumer<'f> = (&'f str, &'f ConsumerFigures);

pub(super) fn write(text: &mut Exposition, services: &Services) {
    write_all(text, &services.streams.figures());
    let counted = services.streams.counted();
    text.counter(
        "quartet_stream_events_total",
        "Messages that came to streams or left them, by what happened.",
    )
    .values(
        "event",
        [
            ("stored", counted.stored),
            ("removed", counted.removed),
            ("duplicate", counted.duplicates),
            ("refused", counted.refused),
            ("unreadable", counted.unreadable),
            ("refused_untold", counted.untold),
        ],
    );
    text.counter("quartet_stream_requests_total", "Requests of the API of the streams.")
        .value(counted.requests);
    text.counter(
        "quartet_stream_request_errors_total",
        "Requests of the API of the streams that were refused.",
    )
    .value(counted.refusals);
}

fn write_all(text: &mut Exposition, figures: &[StreamFigures]) {
    let sum = |figure: fn(&StreamFigures) -> u64| figures.iter().map(figure).sum::<u64>();
    text.gauge("quartet_streams", "Durable streams.").value(figures.len());
    text.gauge("quartet_stream_consumers", "Consumers of all streams.")
        .value(figures.iter().map(|stream| stream.consumers.len()).sum::<usize>());
    text.gauge(
        "quartet_stream_unapplied_messages",
        "Messages that wait for the disk, so that nobody sees them yet.",
    )
    .value(sum(|stream| stream.unapplied));
    text.gauge(
        "quartet_stream_journaled_messages",
        "Messages that are in the journal only, until a snapshot moves them.",
    )
    .value(sum(|stream| stream.journaled));
    text.gauge("quartet_stream_files", "Files of streams.").value(sum(|stream| stream.files));
    text.gauge("quartet_stream_damaged_files", "Files of streams in which damage was found at the start.")
        .value(sum(|stream| stream.damaged.len() as u64));
    let (own, others) = figures.split_at(figures.len().min(STREAMS_MAX));
    let mut by_stream = |name, help, figure: fn(&StreamFigures) -> u64, is_summed: bool| {
        text.gauge(name, help);
        own.iter().for_each(|stream| text.sample(&[("stream", &stream.name)], figure(stream)));
        if is_summed && !others.is_empty() {
            text.sample(&[("stream", OTHERS)], others.iter().map(figure).sum::<u64>());
        }
    };
    by_stream("quartet_stream_messages", "Messages of a stream.", |stream| stream.messages, true);
    by_stream("quartet_stream_bytes", "Bytes of the messages of a stream.", |stream| stream.bytes, true);
    let help = "The sequence of the first message of a stream.";
    by_stream("quartet_stream_first_sequence", help, |stream| stream.first, false);
    let help = "The last sequence that a stream has given.";
    by_stream("quartet_stream_last_sequence", help, |stream| stream.last, false);
    write_consumers(text, figures);
}

fn write_consumers(text: &mut Exposition, figures: &[StreamFigures]) {
    let of_stream = |stream: &'_ StreamFigures| stream.consumers.len();
    let mut consumers: Vec<Consumer<'_>> = Vec::with_capacity(figures.iter().map(of_stream).sum());
    for stream in figures {
        consumers.extend(stream.consumers.iter().map(|consumer| (&*stream.name, consumer)));
    }
    let (own, others) = consumers.split_at(consumers.len().min(CONSUMERS_MAX));
    let mut by_consumer = |name, help, figure: fn(&ConsumerFigures) -> u64| {
        text.gauge(name, help);
        for (stream, consumer) in own {
            text.sample(&[("stream", stream), ("consumer", &consumer.name)], figure(consumer));
        }
        if !others.is_empty() {
            let rest = others.iter().map(|(_, consumer)| figure(consumer)).sum::<u64>();
            text.sample(&[("stream", OTHERS), ("consumer", OTHERS)], rest);
        }
    };
    let help = "Messages that a consumer has not delivered yet.";
    by_consumer("quartet_stream_consumer_pending", help, |consumer| consumer.pending);
    let help = "Messages of a consumer that wait for their acknowledgement.";
    by_consumer("quartet_stream_consumer_ack_pending", help, |consumer| consumer.ack_pending);
    let help =
        "Messages of a consumer that wait for their acknowledgement and were delivered more than once.";
    by_consumer("quartet_stream_consumer_redelivered", help, |consumer| consumer.redelivered);
    let help = "Requests that wait for messages of a consumer.";
    by_consumer("quartet_stream_consumer_waiting_requests", help, |consumer| consumer.waiting);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: usize, consumers: usize) -> StreamFigures {
        let consumer = |number: usize| ConsumerFigures {
            name: format!("c{number}").into(),
            delivered: 2,
            floor: 1,
            pending: 3,
            ack_pending: 2,
            redelivered: 1,
            waiting: 0,
        };
        StreamFigures {
            name: format!("S{number:06}").into(),
            messages: 2,
            bytes: 100,
            first: 1,
            last: 2,
            last_time: 0,
            subjects: 1,
            unapplied: 1,
            journaled: 2,
            files: 1,
            damaged: Vec::new(),
            consumers: (0..consumers).map(consumer).collect(),
        }
    }

    #[test]
    fn streams_and_consumers_beyond_the_limits_are_summed() {
        let figures: Vec<_> = (0..STREAMS_MAX + 3).map(|number| stream(number, 5)).collect();
        let mut text = Exposition::default();
        write_all(&mut text, &figures);
        let text = text.into_text();
        let samples =
            |family: &str| text.lines().filter(|line| line.starts_with(&format!("{family}{{"))).count();
        assert_eq!(samples("quartet_stream_messages"), STREAMS_MAX + 1);
        assert_eq!(samples("quartet_stream_last_sequence"), STREAMS_MAX);
        assert_eq!(samples("quartet_stream_consumer_pending"), CONSUMERS_MAX + 1);
        assert!(text.contains("quartet_stream_messages{stream=\"all others\"} 6\n"), "{text}");
        let rest = 3 * (figures.len() * 5 - CONSUMERS_MAX);
        let expected = format!("{{stream=\"all others\",consumer=\"all others\"}} {rest}\n");
        assert!(text.contains(&format!("quartet_stream_consumer_pending{expected}")), "{text}");
        assert!(text.contains(&format!("quartet_streams {}\n", figures.len())));
    }

    #[test]
    fn within_the_limits_nothing_is_summed() {
        let figures: Vec<_> =
            (0..STREAMS_MAX).map(|number| stream(number, CONSUMERS_MAX / STREAMS_MAX)).collect();
        let mut text = Exposition::default();
        write_all(&mut text, &figures);
        assert!(!text.into_text().contains(OTHERS));
    }
}
