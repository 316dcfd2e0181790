//! A client of one listener and its network: what it writes, and what it understands of what it reads.

use std::collections::VecDeque;

use memchr::memchr;
use quartet::random::Random;
use quartet::session::{Agreement, Protocol};
use quartet::settings::SlowConsumer;
use quartet_protocol::websocket::handshake::Subprotocol;
use redis_protocol::resp3::types::OwnedFrame;

use super::BEHIND_MIN;
use super::auditor::{Auditor, Operation, Pattern, Wanted};
use crate::support::client::{decode_resp2, request};
use crate::support::simulated_server::SimulatedConnection;
use crate::support::websocket::{TEXT, frame};

/// Steps that a piece may take to the server.
const DELAY_MAX: usize = 3;

/// Subjects, and patterns that stand for several of them.
const SUBJECTS: [&str; 5] = ["a.x", "a.y", "b.x", "b.y", "c"];
const WILDCARDS: [&str; 5] = ["a.*", "*.x", "b.>", ">", "*"];
const GLOBS: [&str; 4] = ["a*", "*", "b.*", "c*"];
const GROUPS: [&str; 2] = ["workers", "others"];

/// Subscriptions that a client has at most.
const SUBSCRIPTIONS_MAX: usize = 5;

/// The listener that a client comes by.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Form {
    /// The broker's protocol.
    Frames,
    /// JSON over a WebSocket.
    Json,
    /// RESP.
    Resp,
}

/// How a client reads.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Pace {
    /// Everything at once.
    Prompt,
    /// So many bytes in a step.
    Slow(usize),
    /// Nothing until a step.
    Stalled(usize),
}

/// Something about a subscription that a client has read.
#[derive(Clone, Debug)]
pub(super) enum Heard {
    /// A message.
    Message { name: String, number: usize },
    /// A notice of missed messages.
    Gap { name: String, missed: u64 },
}

pub(super) struct Client {
    pub(super) number: usize,
    form: Form,
    policy: SlowConsumer,
    pub(super) connection: SimulatedConnection,
    pub(super) pace: Pace,
    /// Pieces on their way, each with the step at which it arrives.
    wire: VecDeque<(usize, Vec<u8>)>,
    /// Bytes that it has written since it came, and its operations with their ends among these bytes.
    written: usize,
    operations: VecDeque<(usize, Operation)>,
    /// Its subscriptions, by name, and whether they are in groups.
    names: Vec<(String, bool)>,
    next_name: usize,
    /// In RESP2 who has subscribed does not publish.
    has_published: bool,
    unread: Vec<u8>,
}

impl Form {
    /// NATS clients are half of all.
    pub(super) const ALL: [Form; 4] = [Form::Frames, Form::Frames, Form::Json, Form::Resp];

    pub(super) fn protocol(self) -> Protocol {
        match self {
            Form::Frames => Protocol::Broker,
            Form::Resp => Protocol::Resp,
            Form::Json => {
                Protocol::WebSocket(Agreement { subprotocol: Subprotocol::Json, has_compression: false })
            }
        }
    }
}

impl Heard {
    /// The name of the subscription.
    pub(super) fn name(&self) -> &str {
        let (Heard::Message { name, .. } | Heard::Gap { name, .. }) = self;
        name
    }
}

impl Client {
    pub(super) fn new(
        number: usize,
        form: Form,
        policy: SlowConsumer,
        mut connection: SimulatedConnection,
        random: &mut Random,
    ) -> Client {
        connection.piece_max = [5, 100, 3_000, usize::MAX][random.below(4)];
        connection.socket_room = [1_000, 30_000, usize::MAX][random.below(3)];
        let mut client = Client {
            number,
            form,
            policy,
            connection,
            pace: Pace::Prompt,
            wire: VecDeque::new(),
            written: 0,
            operations: VecDeque::new(),
            names: Vec::new(),
            next_name: 1,
            has_published: false,
            unread: Vec::new(),
        };
        if form == Form::Frames {
            let policy = policy.word();
            let connect = format!(
                "CONNECT {{\"verbose\":false,\"headers\":true,\"protocol\":1,\"slow_consumer\":\"{policy}\"}}\r\n"
            );
            client.connection.write(connect.as_bytes());
            client.written = connect.len();
        }
        client
    }

    pub(super) fn subscribe(&mut self, step: usize, random: &mut Random) {
        if self.names.len() >= SUBSCRIPTIONS_MAX || (self.form == Form::Resp && self.has_published) {
            return;
        }
        let many = match self.form {
            Form::Resp => Pattern::Glob(GLOBS[random.below(GLOBS.len())]),
            _ => Pattern::Tokens(WILDCARDS[random.below(WILDCARDS.len())]),
        };
        let one = Pattern::Tokens(SUBJECTS[random.below(SUBJECTS.len())]);
        let pattern = if random.below(3) == 0 { many } else { one };
        let is_member = self.form != Form::Resp && random.below(3) == 0;
        let group = is_member.then(|| GROUPS[random.below(GROUPS.len())]);
        let policy = match self.form {
            Form::Frames => self.policy,
            Form::Json => SlowConsumer::ALL[random.below(SlowConsumer::ALL.len())],
            Form::Resp => SlowConsumer::Disconnect,
        };
        let name = match self.form {
            Form::Resp => format!("{} {}", pattern.is_glob(), pattern.text()),
            _ => self.next_name.to_string(),
        };
        if self.names.iter().any(|(other, _)| *other == name) {
            return;
        }
        self.next_name += 1;
        self.names.push((name.clone(), is_member));
        let text = pattern.text();
        let bytes = match self.form {
            Form::Frames => format!("SUB {text} {} {name}\r\n", group.unwrap_or_default()).into_bytes(),
            Form::Resp if pattern.is_glob() => request(&["PSUBSCRIBE", text]),
            Form::Resp => request(&["SUBSCRIBE", text]),
            Form::Json => {
                let mut object = serde_json::json!({
                    "op": "subscribe", "id": name, "subject": text, "slow_consumer": policy.word(),
                });
                if let Some(group) = group {
                    object["group"] = group.into();
                }
                frame(TEXT, object.to_string().as_bytes())
            }
        };
        self.write(step, &bytes, random);
        let wanted = Wanted { pattern, group, policy };
        self.operations.push_back((self.written, Operation::Subscribe(name, wanted)));
    }

    /// Ends a subscription, at once or after some messages.
    pub(super) fn unsubscribe(&mut self, step: usize, random: &mut Random) {
        if self.names.is_empty() || self.form == Form::Resp {
            return;
        }
        let (name, is_member) = self.names.swap_remove(random.below(self.names.len()));
        // How many messages of a group a member gets is the server's choice.
        let after = (!is_member && random.below(2) == 0).then(|| 1 + random.below(40));
        let bytes = match (self.form, after) {
            (Form::Frames, None) => format!("UNSUB {name}\r\n").into_bytes(),
            (Form::Frames, Some(after)) => format!("UNSUB {name} {after}\r\n").into_bytes(),
            (_, after) => {
                let mut object = serde_json::json!({"op": "unsubscribe", "id": name});
                if let Some(after) = after {
                    object["max"] = after.into();
                }
                frame(TEXT, object.to_string().as_bytes())
            }
        };
        self.write(step, &bytes, random);
        self.operations.push_back((self.written, Operation::Unsubscribe(name, after)));
    }

    /// Publishes messages, each with a number of its own and so many bytes more.
    pub(super) fn publish(
        &mut self,
        step: usize,
        random: &mut Random,
        auditor: &mut Auditor,
        count: usize,
        length: usize,
    ) {
        if self.form == Form::Resp && !self.names.is_empty() {
            return;
        }
        self.has_published = true;
        for _ in 0..count {
            let subject = SUBJECTS[random.below(SUBJECTS.len())];
            let number = auditor.add_message(subject);
            let payload = format!("{number}{}", "x".repeat(length));
            let bytes = match self.form {
                Form::Frames => format!("PUB {subject} {}\r\n{payload}\r\n", payload.len()).into_bytes(),
                Form::Resp => request(&["PUBLISH", subject, &payload]),
                Form::Json => {
                    let object = serde_json::json!({"op": "publish", "subject": subject, "payload": payload});
                    frame(TEXT, object.to_string().as_bytes())
                }
            };
            self.write(step, &bytes, random);
            self.operations.push_back((self.written, Operation::Publish(number)));
        }
    }

    pub(super) fn change_pace(&mut self, step: usize, random: &mut Random) {
        self.pace = match random.below(3) {
            0 => Pace::Prompt,
            1 => Pace::Slow(1 + random.below(20_000)),
            _ => Pace::Stalled(step + random.below(100)),
        };
    }

    /// Bytes that it reads at most in a step.
    pub(super) fn reads_max(&self, step: usize) -> usize {
        match self.pace {
            Pace::Prompt => usize::MAX,
            Pace::Slow(most) => most,
            Pace::Stalled(until) if step < until => 0,
            Pace::Stalled(_) => usize::MAX,
        }
    }

    /// Puts bytes on their way, in pieces.
    fn write(&mut self, step: usize, bytes: &[u8], random: &mut Random) {
        self.written += bytes.len();
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = [2, 40, 20_000][random.below(3)];
            let (piece, behind) = rest.split_at((1 + random.below(most)).min(rest.len()));
            let earliest = self.wire.back().map_or(0, |(arrives, _)| *arrives);
            self.wire.push_back(((step + random.below(DELAY_MAX)).max(earliest), piece.to_vec()));
            rest = behind;
        }
    }

    /// The network brings what has arrived by now.
    pub(super) fn carry(&mut self, step: usize) {
        while self.wire.front().is_some_and(|(arrives, _)| *arrives <= step) {
            let (_, piece) = self.wire.pop_front().expect("there is one");
            self.connection.write(&piece);
        }
    }

    /// Tells the auditor which operations the server has run since the last call.
    pub(super) fn report_done(&mut self, auditor: &mut Auditor) {
        let done = self.connection.received();
        while self.operations.front().is_some_and(|(end, _)| *end <= done) {
            let (_, operation) = self.operations.pop_front().expect("there is one");
            auditor.perform(self.number, operation);
        }
    }

    /// Whether so much has waited for it once that it may miss something.
    pub(super) fn was_behind(&self) -> bool {
        self.connection.most_waiting() > BEHIND_MIN
    }

    /// Reads up to so many bytes; what they say, and their number.
    pub(super) fn read(&mut self, most: usize) -> Result<(Vec<Heard>, usize), String> {
        let bytes = self.connection.read(most);
        self.unread.extend_from_slice(&bytes);
        let mut heard = Vec::new();
        let mut taken = 0;
        loop {
            let rest = &self.unread[taken..];
            let next = match self.form {
                Form::Frames => read_frame(rest)?,
                Form::Json => read_json(rest)?,
                Form::Resp => read_resp(rest)?,
            };
            let Some((one, length)) = next else { break };
            heard.extend(one);
            taken += length;
        }
        self.unread.drain(..taken);
        Ok((heard, bytes.len()))
    }
}

/// What was read, if it matters, and its length.
type Next = Option<(Option<Heard>, usize)>;

/// The number at the beginning of a payload.
pub(super) fn number_of(payload: &[u8]) -> Result<usize, String> {
    let digits = payload.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(payload.len());
    let number = std::str::from_utf8(&payload[..digits]).ok().and_then(|digits| digits.parse().ok());
    number.ok_or_else(|| format!("{payload:?} has no number"))
}

fn read_frame(bytes: &[u8]) -> Result<Next, String> {
    let Some(end) = memchr(b'\n', bytes) else { return Ok(None) };
    let line = std::str::from_utf8(&bytes[..end]).map_err(|error| error.to_string())?.trim_end();
    let words: Vec<&str> = line.split(' ').collect();
    let has_payload = matches!(words[0], "MSG" | "HMSG");
    if !has_payload {
        return if words[0] == "-ERR" { Err(line.to_owned()) } else { Ok(Some((None, end + 1))) };
    }
    let length: usize = words[words.len() - 1].parse().map_err(|_| format!("{line} has no length"))?;
    let Some(payload) = bytes.get(end + 1..end + 1 + length + 2) else { return Ok(None) };
    let name = words[2].to_owned();
    let heard = match words[0] {
        "MSG" => Heard::Message { name, number: number_of(payload)? },
        _ => {
            let text = String::from_utf8_lossy(payload);
            let missed = text.split("Quartet-Missed: ").nth(1).and_then(|rest| rest.split('\r').next());
            let missed = missed.and_then(|digits| digits.parse().ok());
            Heard::Gap { name, missed: missed.ok_or_else(|| format!("{text} is no notice"))? }
        }
    };
    Ok(Some((Some(heard), end + 1 + length + 2)))
}

fn read_json(bytes: &[u8]) -> Result<Next, String> {
    let [first, short, rest @ ..] = bytes else { return Ok(None) };
    let (head, length) = match short {
        126 => match rest.first_chunk() {
            Some(length) => (4, usize::from(u16::from_be_bytes(*length))),
            None => return Ok(None),
        },
        127 => return Err("the frame is too long".to_owned()),
        length => (2, usize::from(*length)),
    };
    let Some(payload) = bytes.get(head..head + length) else { return Ok(None) };
    if *first != TEXT {
        return Ok(Some((None, head + length)));
    }
    let object: serde_json::Value = serde_json::from_slice(payload).map_err(|error| error.to_string())?;
    let text = |field: &str| object[field].as_str().unwrap_or_default().to_owned();
    let heard = match &*text("op") {
        "message" => {
            Some(Heard::Message { name: text("id"), number: number_of(text("payload").as_bytes())? })
        }
        "gap" => Some(Heard::Gap { name: text("id"), missed: object["missed"].as_u64().unwrap_or_default() }),
        // A subscription may have had its last message before its end was asked for.
        "error" if text("code") != "no_such_subscription" => return Err(object.to_string()),
        _ => None,
    };
    Ok(Some((heard, head + length)))
}

fn read_resp(bytes: &[u8]) -> Result<Next, String> {
    let Some((frame, length)) = decode_resp2(bytes) else { return Ok(None) };
    let data = match frame {
        OwnedFrame::Array { data, .. } => data,
        OwnedFrame::SimpleError { data, .. } => return Err(data.to_string()),
        _ => return Ok(Some((None, length))),
    };
    let words: Vec<String> = data
        .iter()
        .map(|word| match word {
            OwnedFrame::BlobString { data, .. } => String::from_utf8_lossy(data).into_owned(),
            _ => String::new(),
        })
        .collect();
    let is_glob = words[0] == "pmessage";
    if !is_glob && words[0] != "message" {
        return Ok(Some((None, length)));
    }
    let payload = words.last().map(String::as_str).unwrap_or_default();
    let name = format!("{is_glob} {}", words[1]);
    Ok(Some((Some(Heard::Message { name, number: number_of(payload.as_bytes())? }), length)))
}
