//! Watching keys: their values now, then each change.

use axum::response::Response;

use super::{Bucket, Entry, check_key_pattern};
use crate::http::endpoint::stream::{KEEP_ALIVE_MAX, StreamForm, stream};
use crate::http::endpoint::{Accept, Context, Problem, problems};
use crate::stream::Follower;
use crate::stream::endpoints::events::{StreamEvents, WriteMessage};
use crate::stream::endpoints::object::json;
use crate::stream::endpoints::position::LastEventId;
use crate::stream::filter::Filter;

/// The events of the keys that match a pattern.
pub(super) fn watch(
    context: &Context,
    bucket: &Bucket,
    pattern: &str,
    accept: &Accept,
    last_event: &LastEventId,
) -> Result<Response, Problem> {
    let form = StreamForm::Events;
    if accept.quality(form.media_type()) <= 0.0 {
        return Err(Problem::new(problems::NOT_ACCEPTABLE).detail("there is text/event-stream"));
    }
    check_key_pattern(pattern)?;
    let filter = Filter::of([bucket.subject(pattern).as_bytes()]);
    let (first, last) = bucket.stream.range();
    let (next, gap, latest_until) = match last_event.next(&bucket.stream) {
        Some((next, None)) => (next, None, 0),
        Some((next, gap)) => (next, gap, last),
        None => (first, None, last),
    };
    let follower = Follower::new(&bucket.stream, filter, next)
        .ok_or_else(|| Problem::new(problems::TOO_MANY_FEEDS))?
        .with_latest(latest_until);
    let prefix = bucket.prefix().len();
    let write: WriteMessage = Box::new(move |message| json(&Entry::of(message, prefix)));
    let events = StreamEvents::new(follower, write).behind(gap.as_ref()).complete_at(last);
    Ok(stream(context, form, events, KEEP_ALIVE_MAX))
}
