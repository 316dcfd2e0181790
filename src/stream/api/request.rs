//! Requests as values: a subject, headers and a body become one of them, or a refusal that says how it is answered.

use super::bodies::{
    Action, ConsumerBody, InfoBody, ListBody, MessageDeleteBody, NamesBody, PageBody, PauseBody, Purge,
    PurgeBody, UnpinBody,
};
use super::error::{self, ApiError};
use super::get::{DirectGet, MessageGet, MessageGetBody};
use super::pull::Pull;
use super::subjects::{Address, Operation, Row, UNKNOWN};
use crate::stream::definition::{ConsumerDefinition, StreamDefinition, is_group_name};
use crate::stream::header_names;
use crate::stream::json::{Members, Time, read_document};
use quartet_protocol::broker::headers::Headers;

/// The level of the API that this server has: that of NATS 2.11.
pub const API_LEVEL: u32 = 1;

/// What a client asks for.  Names in it exist or not; nothing is checked that depends on what there is.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// How much there is of everything.
    AccountInfo,
    /// A new stream by a definition that is not checked yet.
    StreamCreate {
        /// What it is to be.
        definition: Box<StreamDefinition>,
        /// Whether the client wants to hear of each correction.
        pedantic: bool,
    },
    /// Another definition, not checked yet, of the stream that it names.
    StreamUpdate {
        /// What it is to be.
        definition: Box<StreamDefinition>,
        /// Whether the client wants to hear of each correction.
        pedantic: bool,
    },
    /// What a stream is and has.
    StreamInfo {
        /// Its name.
        stream: String,
        /// Whether the sequences of deleted messages are wanted.
        deleted_details: bool,
        /// The pattern of subjects whose counts are wanted, and how many to leave out.
        subjects: Option<(String, usize)>,
    },
    /// The names of streams.
    StreamNames {
        /// The streams wanted.
        list: ListBody,
    },
    /// The same, with their definitions and figures.
    StreamList {
        /// The streams wanted.
        list: ListBody,
    },
    /// The end of a stream.
    StreamDelete {
        /// Its name.
        stream: String,
    },
    /// The end of messages.
    StreamPurge {
        /// The stream that they are in.
        stream: String,
        /// Which.
        purge: Purge,
    },
    /// One message.
    MessageGet {
        /// The stream that it is in.
        stream: String,
        /// Which.
        message: MessageGet,
        /// Whether its headers are left out.
        no_headers: bool,
    },
    /// The end of a message.
    MessageDelete {
        /// The stream that it is in.
        stream: String,
        /// Its sequence; zero is none.
        sequence: u64,
    },
    /// Messages as such.
    DirectGet {
        /// The stream that they are in.
        stream: String,
        /// Which.
        get: DirectGet,
        /// Whether their headers are left out, and those that say what they are.
        no_headers: bool,
    },
    /// A consumer that is new, or becomes another.
    ConsumerCreate {
        /// Its stream.
        stream: String,
        /// What it is to be, not checked yet.
        definition: Box<ConsumerDefinition>,
        /// Whether it may exist already.
        action: Action,
        /// Whether the client wants to hear of each correction.
        pedantic: bool,
    },
    /// What a consumer is and has.
    ConsumerInfo {
        /// Its stream.
        stream: String,
        /// Its name.
        consumer: String,
    },
    /// The names of consumers.
    ConsumerNames {
        /// Their stream.
        stream: String,
        /// How many to leave out.
        offset: usize,
    },
    /// The same, with their definitions and figures.
    ConsumerList {
        /// Their stream.
        stream: String,
        /// How many to leave out.
        offset: usize,
    },
    /// The end of a consumer.
    ConsumerDelete {
        /// Its stream.
        stream: String,
        /// Its name.
        consumer: String,
    },
    /// Messages for a client that requests them.
    ConsumerNext {
        /// The consumer's stream.
        stream: String,
        /// Its name.
        consumer: String,
        /// How many, and for how long.
        pull: Pull,
    },
    /// A consumer that sends nothing until a given time; none or a past one ends that.
    ConsumerPause {
        /// Its stream.
        stream: String,
        /// Its name.
        consumer: String,
        /// Until when.
        until: Option<Time>,
    },
    /// Another client in place of the pinned one.
    ConsumerUnpin {
        /// The consumer's stream.
        stream: String,
        /// Its name.
        consumer: String,
        /// The group of the client.
        group: String,
    },
}

/// How a request is answered that cannot be carried out.
#[derive(Clone, Debug, PartialEq)]
pub enum Refusal {
    /// By JSON.
    Error(ApiError),
    /// By a status of headers without payload.
    Status(u16, String),
    /// Not at all, as if nobody had heard it: by the status 503.
    NoResponders,
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Refusal::Error(error)
    }
}

impl From<error::Known> for Refusal {
    fn from(known: error::Known) -> Self {
        Refusal::Error(known.error())
    }
}

/// A request and the row by which it is answered.
#[derive(Debug)]
pub struct Asked {
    /// How it is answered.
    pub row: &'static Row,
    /// What is asked for.
    pub request: Result<Request, Refusal>,
}

impl Request {
    /// The stream whose consumers first have the turns that earlier requests gave them, if the answer may depend on these.  A pull
    /// only joins those that wait.
    pub fn decided_behind_pulls(&self) -> Option<&str> {
        match self {
            Request::AccountInfo
            | Request::StreamCreate { .. }
            | Request::StreamNames { .. }
            | Request::StreamList { .. }
            | Request::ConsumerNames { .. }
            | Request::ConsumerNext { .. } => None,
            Request::StreamUpdate { definition, .. } => Some(&definition.name),
            Request::StreamInfo { stream, .. }
            | Request::StreamDelete { stream }
            | Request::StreamPurge { stream, .. }
            | Request::MessageGet { stream, .. }
            | Request::MessageDelete { stream, .. }
            | Request::DirectGet { stream, .. }
            | Request::ConsumerCreate { stream, .. }
            | Request::ConsumerInfo { stream, .. }
            | Request::ConsumerList { stream, .. }
            | Request::ConsumerDelete { stream, .. }
            | Request::ConsumerPause { stream, .. }
            | Request::ConsumerUnpin { stream, .. } => Some(stream),
        }
    }

    /// What a message on a subject below `$JS.API.` asks for.
    pub fn parse(subject: &[u8], headers: Option<Headers<'_>>, body: &[u8]) -> Asked {
        let Some(address) = Address::parse(subject) else {
            return Asked { row: &UNKNOWN, request: Err(error::UNKNOWN_REQUEST.into()) };
        };
        let row = address.row;
        let level = headers
            .and_then(|headers| headers.get(header_names::REQUIRED_API_LEVEL.as_bytes()))
            .unwrap_or_default();
        if !has_level(level) {
            let refusal = match row.reply {
                "" => Refusal::Status(412, "Required Api Level".to_owned()),
                _ => error::REQUIRED_API_LEVEL.into(),
            };
            return Asked { row, request: Err(refusal) };
        }
        Asked { row, request: parse(address, body) }
    }
}

/// Whether this server is at the level that a client needs; what is no number is above every level.
fn has_level(level: &[u8]) -> bool {
    let number = std::str::from_utf8(level).ok().and_then(|level| level.parse::<i64>().ok());
    level.is_empty() || number.is_some_and(|level| level <= i64::from(API_LEVEL))
}

fn parse(address: Address<'_>, body: &[u8]) -> Result<Request, Refusal> {
    let stream = address.stream.to_owned();
    let consumer = address.consumer.to_owned();
    Ok(match address.row.operation {
        Operation::AccountInfo => Request::AccountInfo,
        Operation::StreamCreate => {
            let (definition, pedantic) = stream_definition(&stream, body)?;
            Request::StreamCreate { definition, pedantic }
        }
        Operation::StreamUpdate => {
            let (definition, pedantic) = stream_definition(&stream, body)?;
            Request::StreamUpdate { definition, pedantic }
        }
        Operation::StreamInfo => optional::<InfoBody>(body)?.request(stream),
        Operation::StreamNames => Request::StreamNames { list: optional::<NamesBody>(body)?.list() },
        Operation::StreamList => Request::StreamList { list: optional::<NamesBody>(body)?.list() },
        Operation::StreamDelete => {
            empty(body)?;
            Request::StreamDelete { stream }
        }
        Operation::StreamPurge => {
            let purge = optional::<PurgeBody>(body)?.purge()?;
            Request::StreamPurge { stream, purge }
        }
        Operation::MessageGet => {
            let (message, no_headers) = required::<MessageGetBody>(body)?.message()?;
            Request::MessageGet { stream, message, no_headers }
        }
        Operation::MessageDelete => {
            let MessageDeleteBody { sequence, .. } = required(body)?;
            Request::MessageDelete { stream, sequence }
        }
        Operation::DirectGet => {
            let (get, no_headers) = MessageGetBody::direct(body)?;
            Request::DirectGet { stream, get, no_headers }
        }
        Operation::DirectGetLast => {
            let (get, no_headers) = MessageGetBody::direct_last(address.rest, body)?;
            Request::DirectGet { stream, get, no_headers }
        }
        Operation::ConsumerCreate
        | Operation::ConsumerCreateNamed
        | Operation::ConsumerCreateFiltered
        | Operation::ConsumerCreateDurable => ConsumerBody::request(address, body)?,
        Operation::ConsumerInfo => {
            empty(body)?;
            Request::ConsumerInfo { stream, consumer }
        }
        Operation::ConsumerNames => {
            Request::ConsumerNames { stream, offset: optional::<PageBody>(body)?.offset() }
        }
        Operation::ConsumerList => {
            Request::ConsumerList { stream, offset: optional::<PageBody>(body)?.offset() }
        }
        Operation::ConsumerDelete => {
            empty(body)?;
            Request::ConsumerDelete { stream, consumer }
        }
        Operation::ConsumerNext => Request::ConsumerNext { stream, consumer, pull: Pull::parse(body)? },
        Operation::ConsumerPause => {
            let PauseBody { until } = optional(body)?;
            Request::ConsumerPause { stream, consumer, until: until.filter(|until| !until.is_zero()) }
        }
        Operation::ConsumerUnpin => {
            let UnpinBody { group } = read(body)?;
            check_group(&group)?;
            Request::ConsumerUnpin { stream, consumer, group }
        }
        Operation::OfClusters => return Err(error::CLUSTER_REQUIRED.into()),
        Operation::NotBuilt => return Err(error::BAD_REQUEST.into()),
    })
}

/// The name of a priority group, whether there is such a group or not.
fn check_group(group: &str) -> Result<(), Refusal> {
    if group.is_empty() {
        return Err(error::INVALID_JSON.with("consumer group not specified").into());
    }
    if !is_group_name(group) {
        return Err(error::CONSUMER_INVALID_GROUP_NAME.into());
    }
    Ok(())
}

/// The definition in a body, whose name must be the one in the subject.
fn stream_definition(name: &str, body: &[u8]) -> Result<(Box<StreamDefinition>, bool), Refusal> {
    let (definition, pedantic) =
        if body.is_empty() { Default::default() } else { StreamDefinition::read(body)? };
    if definition.name != name {
        return Err(error::STREAM_NAME_MISMATCH.into());
    }
    if name.contains(['/', '\\']) {
        return Err(error::STREAM_NAME_HAS_PATH_SEPARATORS.into());
    }
    Ok((Box::new(definition), pedantic))
}

/// A body that must be there.
fn required<T: Members>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() || is_empty_object(body) {
        return Err(error::BAD_REQUEST.into());
    }
    read(body)
}

fn read<T: Members>(body: &[u8]) -> Result<T, Refusal> {
    let mut value = T::default();
    read_document(&mut value, &mut [], body)?;
    Ok(value)
}

/// A body that may be left out.  What is neither object nor list counts as left out, as with nats-server: `null` of Rust clients
/// is such a body.
fn optional<T: Members>(body: &[u8]) -> Result<T, Refusal> {
    let is_there = matches!(body.trim_ascii_start().first(), Some(b'{' | b'['));
    if is_there { read(body) } else { Ok(T::default()) }
}

fn is_empty_object(body: &[u8]) -> bool {
    let inside = body.trim_ascii().strip_prefix(b"{").and_then(|body| body.strip_suffix(b"}"));
    inside.is_some_and(|inside| inside.trim_ascii().is_empty())
}

/// That a body says nothing.
fn empty(body: &[u8]) -> Result<(), Refusal> {
    let is_empty = body.is_empty() || is_empty_object(body);
    if is_empty { Ok(()) } else { Err(error::NOT_EMPTY_REQUEST.into()) }
}
