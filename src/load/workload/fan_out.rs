//! Publish and subscribe: each message of a publisher goes to all its subscribers.

use super::super::message::{Frame, next};
use super::super::options::{CONNECTIONS_MAX, Options, PIPELINE_MAX, SIZE_MAX};
use super::super::plan::{Plan, Share};
use super::super::target::Target;
use super::super::traffic::{Stage, Traffic};

/// Each message begins with the time when it was meant to be sent.
const TIME_LENGTH: usize = 8;

/// A publisher with so many bytes to send adds none.
const WAITING_MAX: usize = 1024 * 1024;

/// Publishers with their subscribers.
pub(super) struct FanOut {
    publishers: usize,
    subscribers: usize,
    size: usize,
    window: u64,
    /// Two runs at once share no subject.
    run: u32,
}

/// Plans it.
pub(super) fn plan(options: &Options, _target: &Target) -> Result<Box<dyn Plan>, String> {
    let publishers = options.count("publishers", 1..=CONNECTIONS_MAX)?;
    let subscribers = options.count("subscribers", 1..=CONNECTIONS_MAX)?;
    if publishers * (1 + subscribers) > CONNECTIONS_MAX as usize {
        return Err(format!(
            "publishers and their subscribers must be at most {CONNECTIONS_MAX} connections"
        ));
    }
    let size = options.count("size", TIME_LENGTH as u64..=SIZE_MAX)?;
    let window = options.number("pipeline", 1..=PIPELINE_MAX)?;
    Ok(Box::new(FanOut { publishers, subscribers, size, window, run: std::process::id() }))
}

impl FanOut {
    fn subject(&self, group: usize) -> String {
        format!("quartet.bench.{}.{group}", self.run)
    }
}

impl Plan for FanOut {
    fn connections(&self) -> usize {
        self.publishers * self.group()
    }

    fn group(&self) -> usize {
        1 + self.subscribers
    }

    fn greeting(&self, connection: usize) -> Vec<u8> {
        // The first of a group publishes.
        if connection.is_multiple_of(self.group()) {
            return Vec::new();
        }
        format!("SUB {} 1\r\n", self.subject(connection / self.group())).into_bytes()
    }

    fn traffic(&self, share: Share) -> Box<dyn Traffic> {
        let first = share.first / self.group();
        let groups = (0..share.count / self.group()).map(|index| {
            let subject = self.subject(first + index);
            Group {
                publish: format!("PUB {subject} {}\r\n", self.size).into_bytes(),
                deliver: format!("MSG {subject} 1 {}\r\n", self.size).into_bytes(),
                sent: 0,
                received: vec![0; self.subscribers],
            }
        });
        Box::new(Publishing {
            groups: groups.collect(),
            size: self.size,
            window: self.window,
            outstanding: 0,
        })
    }
}

/// The publishers of a thread, and their subscribers.
struct Publishing {
    groups: Vec<Group>,
    size: usize,
    /// How far a publisher may be ahead of its slowest subscriber, in messages.
    window: u64,
    /// Deliveries that have not come yet.
    outstanding: u64,
}

struct Group {
    /// The line before each message to the server, and to a subscriber.
    publish: Vec<u8>,
    deliver: Vec<u8>,
    sent: u64,
    /// How many messages each subscriber has.
    received: Vec<u64>,
}

impl Traffic for Publishing {
    fn begin(&mut self, stage: &mut Stage<'_>) {
        for (index, group) in self.groups.iter_mut().enumerate() {
            let publisher = index * (1 + group.received.len());
            let slowest = group.received.iter().min().copied().unwrap_or(group.sent);
            while group.sent - slowest < self.window
                && stage.outputs[publisher].waiting() < WAITING_MAX
                && let Some(intended) = stage.pace.begin(stage.now)
            {
                let output = stage.outputs[publisher].bytes();
                output.extend_from_slice(&group.publish);
                output.extend_from_slice(&intended.to_le_bytes());
                output.resize(output.len() + self.size - TIME_LENGTH, b'x');
                output.extend_from_slice(b"\r\n");
                group.sent += 1;
                self.outstanding += group.received.len() as u64;
            }
        }
    }

    fn receive(&mut self, connection: usize, input: &[u8], stage: &mut Stage<'_>) -> Result<usize, String> {
        let members = 1 + self.groups[0].received.len();
        let group = &mut self.groups[connection / members];
        let (mut at, mut count) = (0, 0);
        // Messages that were sent together are recorded together.
        let (mut sent, mut alike) = (0, 0);
        loop {
            let rest = &input[at..];
            let whole = group.deliver.len() + self.size + 2;
            if rest.len() >= whole && rest.starts_with(&group.deliver) {
                let time = rest[group.deliver.len()..].first_chunk().copied().map_or(0, u64::from_le_bytes);
                if time != sent {
                    stage.tally.done_alike(stage.now.saturating_sub(sent), alike);
                    (sent, alike) = (time, 0);
                }
                alike += 1;
                count += 1;
                at += whole;
                continue;
            }
            match next(rest)? {
                None => break,
                Some((length, Frame::Ping)) => {
                    stage.outputs[connection].bytes().extend_from_slice(b"PONG\r\n");
                    at += length;
                }
                Some((_, Frame::Message(message))) => {
                    return Err(format!(
                        "it delivered another message, on {}",
                        message.subject.escape_ascii()
                    ));
                }
                Some((length, Frame::Pong | Frame::Other)) => at += length,
            }
        }
        stage.tally.done_alike(stage.now.saturating_sub(sent), alike);
        if let Some(received) =
            (connection % members).checked_sub(1).and_then(|place| group.received.get_mut(place))
        {
            *received += count;
        }
        self.outstanding = self.outstanding.checked_sub(count).ok_or("it delivered a message twice")?;
        Ok(at)
    }

    fn is_settled(&self) -> bool {
        self.outstanding == 0
    }

    fn missing(&self) -> String {
        format!("{} deliveries are missing", self.outstanding)
    }
}
