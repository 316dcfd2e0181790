//! GET /figures: the figures of all services once a second, as server-sent events.
//!
//! The server takes one sample a second for all who watch, and none if nobody does.  A sample is a message on a subject
//! like any other, so the fan-out hands it to the watchers, and a watcher that does not read loses its feed.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::response::Response;
use serde_json::{Map, Value, json};

use super::metrics::service_of_route;
use crate::clock::Now;
use crate::command::Services;
use crate::delivery::{Effects, Feed, Message};
use crate::http::endpoint::stream::{KEEP_ALIVE_MAX, StreamForm, stream};
use crate::http::endpoint::{Context, OpenApiRouter, Problem, State, problems, routes};
use crate::metrics::Distribution;

/// The subject of the samples.  It is hidden, so that clients of the other listeners do not publish on it.
const SUBJECT: &[u8] = b"$QUARTET.FIGURES";

/// The kind of the events.
const KIND: &str = "figures";

/// Feeds of figures at a time, about: requests that come at the same moment may all be the last.
const WATCHERS_MAX: usize = 256;

/// The least time between two samples: a second, less what the pace of housekeeping may be early.
const INTERVAL: Duration = Duration::from_millis(900);

/// The index of the failures among the classes of status, of which the first is 1xx.
const FAILED_CLASS: usize = 4;

pub(super) fn endpoints() -> OpenApiRouter<Context> {
    OpenApiRouter::new().routes(routes!(figures))
}

/// Watches the figures of all services
///
/// A feed of server-sent events, one a second, of the kind `figures`.  Each is a JSON object with the members `time_ms`,
/// `traffic` (by service: requests, failures, and quantiles of the durations since the event before, in microseconds) and one
/// of each service.  Counts are since the start of the server.  All who watch share one sample a second.  The feed ends when
/// the server stops, or when the client is more than 256 KiB of events behind.
#[utoipa::path(get, path = "/figures", tag = "about", extensions(("x-takes-ticket" = json!(true))),
    responses((status = 200, description = "The figures from now on", body = String, content_type = "text/event-stream")))]
async fn figures(State(context): State<Context>) -> Result<Response, Problem> {
    let fan_out = &context.services().fan_out;
    let has_room = fan_out.channels.subscriber_count(SUBJECT) < WATCHERS_MAX;
    let feed = has_room.then(|| Feed::open_events(fan_out, SUBJECT)).flatten();
    let feed = feed.ok_or_else(|| Problem::new(problems::TOO_MANY_FEEDS))?;
    Ok(stream(&context, StreamForm::Events, feed, KEEP_ALIVE_MAX))
}

/// Takes the samples.
#[derive(Default)]
pub struct Sampler {
    /// The sample before, as long as somebody watches.
    before: Option<Sample>,
}

struct Sample {
    at: Now,
    traffic: BTreeMap<&'static str, Traffic>,
}

/// What a service was asked since the start, by commands and by HTTP.
#[derive(Default)]
struct Traffic {
    requests: u64,
    failed: u64,
    durations: Distribution,
}

impl Sampler {
    /// Takes a sample if somebody watches and a second has passed since the one before: to be called twice a second.
    pub fn follow(&mut self, services: &Services) {
        if services.fan_out.channels.subscriber_count(SUBJECT) == 0 {
            self.before = None;
            return;
        }
        let now = services.clock.now();
        if self.before.as_ref().is_some_and(|before| now.micros() < before.at.after(INTERVAL).micros()) {
            return;
        }
        let sample = Sample { at: now, traffic: traffic(services) };
        let event = event(services, &sample, self.before.as_ref());
        let event = serde_json::to_vec(&event).expect("it holds nothing that JSON cannot say");
        let mut effects = Effects::default();
        let message = Message { kind: Some(KIND), ..Message::new(SUBJECT, &event) };
        services.fan_out.publish_to_subscribers(&message, &mut effects);
        services.fan_out.deliver(&mut effects);
        self.before = Some(sample);
    }
}

/// The traffic of each service until now.
fn traffic(services: &Services) -> BTreeMap<&'static str, Traffic> {
    let mut traffic: BTreeMap<&'static str, Traffic> = BTreeMap::new();
    for row in services.commands.rows() {
        let totals = services.metrics.command_totals(row.id);
        if totals.calls + totals.rejected > 0 {
            let sum = traffic.entry(row.command.group.facts().service).or_default();
            sum.requests += totals.calls + totals.rejected;
            sum.failed += totals.failed + totals.rejected;
            sum.durations.include(&services.metrics.durations(row.id));
        }
    }
    for ((_, route), totals) in services.metrics.requests.totals() {
        let service = service_of_route(&route);
        if let Some(row) = services.rows.iter().find(|row| row.name == service) {
            let sum = traffic.entry(row.name).or_default();
            sum.requests += totals.by_status.iter().sum::<u64>();
            sum.failed += totals.by_status[FAILED_CLASS];
            sum.durations.include(&totals.durations);
        }
    }
    traffic
}

/// A sample as it is sent.
fn event(services: &Services, sample: &Sample, before: Option<&Sample>) -> Value {
    let traffic = sample.traffic.iter().map(|(service, sum)| {
        let recent = before.map(|before| match before.traffic.get(service) {
            Some(before) => sum.durations.since(&before.durations),
            None => sum.durations.clone(),
        });
        ((*service).to_owned(), sum.with_quantiles(&recent.unwrap_or_default()))
    });
    let mut event = Map::new();
    event.insert("time_ms".to_owned(), json!(sample.at.wall_millis()));
    event.insert("traffic".to_owned(), traffic.collect::<Map<_, _>>().into());
    for row in services.rows {
        let figures = (row.figures)(services);
        if !figures.is_null() {
            event.insert(row.name.to_owned(), figures);
        }
    }
    event.into()
}

impl Traffic {
    /// The counts, with quantiles of `recent` durations; null if there are none.
    fn with_quantiles(&self, recent: &Distribution) -> Value {
        let quantile = |percent| (!recent.is_empty()).then(|| recent.quantile(percent));
        json!({
            "requests": self.requests,
            "failed": self.failed,
            "p50_us": quantile(50.0),
            "p99_us": quantile(99.0),
            "p999_us": quantile(99.9),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Poll, Waker};

    use super::*;
    use crate::clock::Clock;
    use crate::server;
    use crate::settings::Settings;

    /// The event that has come; none if none has.
    fn next(feed: &Feed) -> Option<Value> {
        match feed.poll_next(Waker::noop()) {
            Poll::Ready(bytes) => {
                let bytes = bytes.expect("the feed is open");
                let text = std::str::from_utf8(&bytes).expect("JSON is text");
                let json = text.strip_prefix("event: figures\ndata: ").expect("it is an event of figures");
                Some(serde_json::from_str(json).expect("it is one event"))
            }
            Poll::Pending => None,
        }
    }

    #[test]
    fn watchers_share_a_sample_a_second_and_nobody_costs_nothing() {
        let start = Now::at(Duration::from_secs(9), Duration::from_secs(1_000_000));
        let services = server::services(Settings::default(), Clock::manual(start), 7);
        let mut sampler = Sampler::default();
        sampler.follow(&services);
        assert!(sampler.before.is_none(), "nobody watches");

        let open = || Feed::open_events(&services.fan_out, SUBJECT).expect("there are few");
        let feeds = [open(), open()];
        sampler.follow(&services);
        for feed in &feeds {
            let event = next(feed).expect("the first sample comes at once");
            assert_eq!(event["cache"]["keys"], 0);
            for service in ["server", "cache", "limits", "locks", "broker", "streams", "traffic"] {
                assert!(event[service].is_object(), "{service} is missing: {event}");
            }
        }
        services.metrics.requests.count(0, "GET", "/locks", 200, 700);
        services.clock.advance(Duration::from_millis(500));
        sampler.follow(&services);
        assert!(next(&feeds[0]).is_none(), "half a second is too early");
        services.clock.advance(Duration::from_millis(500));
        sampler.follow(&services);
        let event = next(&feeds[0]).expect("a second has passed");
        assert_eq!(event["traffic"]["locks"]["requests"], 1);
        let median = event["traffic"]["locks"]["p50_us"].as_u64().expect("there is one");
        assert!((680..720).contains(&median), "{median}");
        services.clock.advance(Duration::from_secs(1));
        sampler.follow(&services);
        let event = next(&feeds[0]).expect("another second has passed");
        assert_eq!(event["traffic"]["locks"]["requests"], 1);
        assert!(event["traffic"]["locks"]["p50_us"].is_null(), "nothing was asked since: {event}");

        drop(feeds);
        sampler.follow(&services);
        assert!(sampler.before.is_none(), "everybody has left");
    }
}
