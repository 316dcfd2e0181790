//! Acknowledgements of messages, and answers to questions of flow control.

use std::sync::{Arc, Weak};
use std::time::Duration;

use super::answer::{no_responders, send};
use super::consumers::pull_request;
use crate::delivery::{Crowd, Effects, Message, Sink};
use crate::stream::api::pull::Pull;
use crate::stream::api::{Refusal, direct};
use crate::stream::consumer::Acknowledgement;
use crate::stream::consumer::request::PullRequest;
use crate::stream::consuming::Said;
use crate::stream::ingest::parse_duration;
use crate::stream::json::{Nanoseconds, members, read_known};
use crate::stream::reply_subjects::{Acknowledged, read_flow_control};
use crate::stream::streams::Streams;

/// Takes acknowledgements.
pub(in crate::stream) struct AcknowledgementSink(pub(in crate::stream) Weak<Streams>);

/// Takes answers to questions of flow control.
pub(in crate::stream) struct FlowControlSink(pub(in crate::stream) Weak<Streams>);

impl Sink for AcknowledgementSink {
    fn take(&self, message: &Message<'_>, effects: &mut Effects) -> bool {
        let Some(streams) = self.0.upgrade() else { return false };
        let acknowledged = Acknowledged::read(message.subject);
        let is_heard = acknowledged
            .and_then(|delivery| acknowledge(&streams, &delivery, message.payload, message.reply, effects))
            .unwrap_or(false);
        if !is_heard {
            no_responders(streams.hub(), message.subject, message.reply, effects);
        }
        true
    }

    fn crowd(&self, subject: &[u8]) -> Option<Arc<dyn Crowd>> {
        let stream = self.0.upgrade()?.find(Acknowledged::read(subject)?.stream)?;
        stream.is_crowded().then_some(stream as _)
    }
}

impl Sink for FlowControlSink {
    fn take(&self, message: &Message<'_>, effects: &mut Effects) -> bool {
        let Some(streams) = self.0.upgrade() else { return false };
        let is_heard = read_flow_control(message.subject).is_some_and(|(stream, consumer, token)| {
            streams.find(stream).is_some_and(|stream| stream.flow_answered(consumer, token, effects))
        });
        if !is_heard {
            no_responders(streams.hub(), message.subject, message.reply, effects);
        }
        true
    }
}

/// Hands an acknowledgement to its consumer; false if there is no such consumer, nothing if no message is named.
fn acknowledge(
    streams: &Arc<Streams>,
    delivery: &Acknowledged<'_>,
    payload: &[u8],
    reply: &[u8],
    effects: &mut Effects,
) -> Option<bool> {
    let (consumer, id) = (delivery.consumer, delivery.delivery()?);
    let stream = streams.find(delivery.stream)?;
    let hub = streams.hub();
    let Some((acknowledgement, next)) = read(payload) else {
        // An unknown payload changes nothing, but its sender must not learn that nobody heard it.
        send(hub, reply, b"", b"", effects);
        return Some(stream.has_consumer(consumer));
    };
    let next = next.filter(|_| !reply.is_empty()).map(|body| request(body, reply));
    if let Some(Err((code, description))) = &next {
        send(hub, reply, &direct::status(*code, description), b"", effects);
    }
    // The next message is the answer to a request for it.
    let is_answered = !reply.is_empty() && next.is_none();
    let answered = is_answered.then(|| {
        let (hub, reply) = (Arc::clone(hub), Box::<[u8]>::from(reply));
        Box::new(move |effects: &mut Effects| send(&hub, &reply, b"", b"", effects)) as _
    });
    let said = Said { delivery: id, acknowledgement, next: next.and_then(Result::ok) };
    let is_heard = stream.acknowledge_delivery(consumer, said, answered, effects);
    stream.slow_down_if_crowded(effects);
    Some(is_heard)
}

/// Reads a payload.
type Read<'p> = (Acknowledgement<'p>, Option<&'p [u8]>);

/// The acknowledgement, and the body of the request for the next message; none if the payload is unknown.
fn read(payload: &[u8]) -> Option<Read<'_>> {
    if let Some(body) = payload.strip_prefix(b"+NXT") {
        return Some((Acknowledgement::Positive, Some(body)));
    }
    let said = match payload {
        b"" | b"+ACK" | b"+OK" => Acknowledgement::Positive,
        b"+WPI" => Acknowledgement::InProgress,
        _ => match (payload.strip_prefix(b"-NAK"), payload.strip_prefix(b"+TERM")) {
            (Some(delay), _) => Acknowledgement::Negative(read_delay(delay.trim_ascii())),
            (_, Some(reason)) => Acknowledgement::Terminate(reason.trim_ascii()),
            _ => return None,
        },
    };
    Some((said, None))
}

/// A negative acknowledgement in JSON.
#[derive(Default, PartialEq)]
struct DelayBody {
    delay: Nanoseconds,
}

members! { DelayBody, "server.ConsumerNakOptions", { "delay" => delay IfSet, } }

/// The delay before a message is delivered again.  A text that cannot be read means no delay, as with nats-server.
fn read_delay(text: &[u8]) -> Option<Duration> {
    let delay = if text.first() == Some(&b'{') {
        let mut body = DelayBody::default();
        read_known(&mut body, text).ok().map(|()| body.delay)
    } else {
        let has_unit = text.last().is_some_and(u8::is_ascii_alphabetic);
        std::str::from_utf8(text).ok().filter(|_| has_unit).and_then(parse_duration)
    };
    delay.map(Nanoseconds::duration).filter(|delay| *delay > Duration::ZERO)
}

/// The request for the next message, or the status that says what is wrong with it.
fn request(body: &[u8], reply: &[u8]) -> Result<PullRequest, (u16, String)> {
    match Pull::parse(body) {
        Ok(pull) => Ok(pull_request(pull, reply.into())),
        Err(Refusal::Status(code, description)) => Err((code, description)),
        Err(_) => Err((400, "Bad Request".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_say_what_receivers_mean() {
        use Acknowledgement::{InProgress, Negative, Positive, Terminate};
        let seconds = |seconds| Negative(Some(Duration::from_secs(seconds)));
        let cases: &[(&[u8], Option<Read<'_>>)] = &[
            (b"", Some((Positive, None))),
            (b"+ACK", Some((Positive, None))),
            (b"+OK", Some((Positive, None))),
            (b"+WPI", Some((InProgress, None))),
            (b"-NAK", Some((Negative(None), None))),
            (b"-NAK {\"delay\": 2000000000}", Some((seconds(2), None))),
            (b"-NAK{\"delay\":1000000000}", Some((seconds(1), None))),
            (b"-NAK 3s", Some((seconds(3), None))),
            (b"-NAK 3", Some((Negative(None), None))),
            (b"-NAK {\"delay\":-5}", Some((Negative(None), None))),
            (b"-NAK {\"delay\":", Some((Negative(None), None))),
            (b"+TERM", Some((Terminate(b""), None))),
            (b"+TERM it is broken ", Some((Terminate(b"it is broken"), None))),
            (b"+NXT", Some((Positive, Some(b"")))),
            (b"+NXT 5", Some((Positive, Some(b" 5")))),
            (b"+FOO", None),
            (b"+ack", None),
        ];
        for (payload, expected) in cases {
            assert_eq!(read(payload), *expected, "{}", String::from_utf8_lossy(payload));
        }
    }
}
