//! The streams as a service: their row and their section of INFO.

mod figures;
mod metrics;

use super::figures::StreamFigures;
use super::{commands, endpoints};
use crate::command::Services;
use crate::delivery::Effects;
use crate::service::{Page, Persistence, Section, Service};

/// The service's row.
pub const SERVICE: Service = Service {
    name: "streams",
    commands: &[
        commands::publish::COMMANDS,
        commands::read::COMMANDS,
        commands::reports::COMMANDS,
        commands::changes::COMMANDS,
    ],
    info: &[Section::by_default("streams", "Streams", info)],
    metrics: metrics::write,
    figures: figures::figures,
    health: Some(|services| services.journal_health("streams")),
    advance: |services, now, effects| services.streams.advance(now, effects),
    keep_house: |services| {
        let mut effects = Effects::default();
        services.streams.keep_house(services.clock.now(), &mut effects);
        effects.deliver(&services.alarm);
    },
    endpoints: endpoints::endpoints,
    persistence: Some(Persistence {
        journal: |services| services.streams.journal(),
        persistent: |services| services.streams.persistent(),
    }),
    ..Service::ROW
};

/// Damaged files that INFO names; the log names all of them.
const DAMAGED_IN_INFO_MAX: usize = 16;

fn info(page: &mut Page, services: &Services) {
    let figures = services.streams.figures();
    let counted = services.streams.counted();
    let sum = |figure: fn(&StreamFigures) -> u64| figures.iter().map(figure).sum::<u64>();
    let consumers = || figures.iter().flat_map(|stream| &stream.consumers);
    page.field("streams", figures.len());
    page.field("stream_consumers", consumers().count());
    page.field("stream_messages", sum(|stream| stream.messages));
    page.field("stream_bytes", sum(|stream| stream.bytes));
    page.field("stream_pending", consumers().map(|consumer| consumer.pending).sum::<u64>());
    page.field("stream_ack_pending", consumers().map(|consumer| consumer.ack_pending).sum::<u64>());
    page.field("stream_redelivered", consumers().map(|consumer| consumer.redelivered).sum::<u64>());
    page.field("stream_waiting_requests", consumers().map(|consumer| consumer.waiting).sum::<u64>());
    page.field("stream_journal", journal_state(services));
    page.field("stream_unapplied_messages", sum(|stream| stream.unapplied));
    page.field("stream_journaled_messages", sum(|stream| stream.journaled));
    page.field("stream_files", sum(|stream| stream.files));
    page.field("stream_damaged_files", sum(|stream| stream.damaged.len() as u64));
    page.field("stream_messages_stored", counted.stored);
    page.field("stream_messages_removed", counted.removed);
    page.field("stream_messages_duplicate", counted.duplicates);
    page.field("stream_messages_refused", counted.refused);
    page.field("stream_messages_refused_untold", counted.untold);
    page.field("stream_messages_unreadable", counted.unreadable);
    page.field("stream_api_requests", counted.requests);
    page.field("stream_api_errors", counted.refusals);
    let damaged = figures.iter().flat_map(|stream| &stream.damaged).take(DAMAGED_IN_INFO_MAX);
    for (number, file) in damaged.enumerate() {
        page.field(&format!("stream_damaged_file_{number}"), file);
    }
}

/// The state of the journal, in one word.
fn journal_state(services: &Services) -> &'static str {
    let journal = services.streams.journal();
    match journal.status() {
        _ if !journal.is_on() => "off",
        None => "unused",
        Some(status) if status.failure.is_some() => "failed",
        Some(_) if journal.is_behind() => "behind",
        Some(_) => "ok",
    }
}
