//! The table of requests: which subject asks for what, and how an error is answered.

use quartet_protocol::broker::subject::{ALL_TOKENS, ANY_TOKEN, tokens};

/// How the subjects of all requests begin.
pub const PREFIX: &[u8] = b"$JS.API.";

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Operation {
    /// How much there is of everything.
    AccountInfo,
    /// A new stream.
    StreamCreate,
    /// Another definition of a stream.
    StreamUpdate,
    /// What a stream is and has.
    StreamInfo,
    /// The names of streams.
    StreamNames,
    /// The same, with their definitions and figures.
    StreamList,
    /// The end of a stream.
    StreamDelete,
    /// The end of messages.
    StreamPurge,
    /// One message.
    MessageGet,
    /// The end of a message.
    MessageDelete,
    /// Messages as such, without JSON.
    DirectGet,
    /// The last message of a subject as such.
    DirectGetLast,
    /// A new consumer, or another definition of one, whose name is in the body if it has one.
    ConsumerCreate,
    /// The same with its name in the subject.
    ConsumerCreateNamed,
    /// The same with the pattern of what it wants in the subject.
    ConsumerCreateFiltered,
    /// The same for one that stays, as older clients ask.
    ConsumerCreateDurable,
    /// What a consumer is and has.
    ConsumerInfo,
    /// The names of consumers.
    ConsumerNames,
    /// The same, with their definitions and figures.
    ConsumerList,
    /// The end of a consumer.
    ConsumerDelete,
    /// Messages for a client that requests them.
    ConsumerNext,
    /// A consumer that sends nothing for a while.
    ConsumerPause,
    /// Another client in place of the pinned one.
    ConsumerUnpin,
    /// What only clusters do.
    OfClusters,
    /// What is not built.
    NotBuilt,
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// The subject behind [`PREFIX`]; the first `*` is a stream, the second a consumer.
    pub pattern: &'static str,
    /// What it asks for.
    pub operation: Operation,
    /// The type of the reply, between `io.nats.jetstream.api.v1.` and `_response`.
    pub reply: &'static str,
    /// What stands in a reply besides an error, since clients may insist on it.
    pub beside_error: &'static str,
}

const NOTHING: &str = "";
const PAGED: &str = r#","total":0,"offset":0,"limit":0"#;
const STREAM_NAMES: &str = r#","total":0,"offset":0,"limit":0,"streams":null"#;
const STREAMS: &str = r#","total":0,"offset":0,"limit":0,"streams":[]"#;
const CONSUMERS: &str = r#","total":0,"offset":0,"limit":0,"consumers":[]"#;
const PURGED: &str = r#","purged":0"#;
const PAUSED: &str = r#","paused":false,"pause_until":"0001-01-01T00:00:00Z""#;

const fn row(
    pattern: &'static str,
    operation: Operation,
    reply: &'static str,
    beside_error: &'static str,
) -> Row {
    Row { pattern, operation, reply, beside_error }
}

/// All requests.
pub const TABLE: &[Row] = &[
    row("INFO", Operation::AccountInfo, "account_info", NOTHING),
    row("STREAM.CREATE.*", Operation::StreamCreate, "stream_create", NOTHING),
    row("STREAM.UPDATE.*", Operation::StreamUpdate, "stream_update", NOTHING),
    row("STREAM.INFO.*", Operation::StreamInfo, "stream_info", PAGED),
    row("STREAM.NAMES", Operation::StreamNames, "stream_names", STREAM_NAMES),
    row("STREAM.LIST", Operation::StreamList, "stream_list", STREAMS),
    row("STREAM.DELETE.*", Operation::StreamDelete, "stream_delete", NOTHING),
    row("STREAM.PURGE.*", Operation::StreamPurge, "stream_purge", PURGED),
    row("STREAM.MSG.GET.*", Operation::MessageGet, "stream_msg_get", NOTHING),
    row("STREAM.MSG.DELETE.*", Operation::MessageDelete, "stream_msg_delete", NOTHING),
    row("DIRECT.GET.*", Operation::DirectGet, "", NOTHING),
    row("DIRECT.GET.*.>", Operation::DirectGetLast, "", NOTHING),
    row("CONSUMER.CREATE.*", Operation::ConsumerCreate, "consumer_create", NOTHING),
    row("CONSUMER.CREATE.*.*", Operation::ConsumerCreateNamed, "consumer_create", NOTHING),
    row("CONSUMER.CREATE.*.*.>", Operation::ConsumerCreateFiltered, "consumer_create", NOTHING),
    row("CONSUMER.DURABLE.CREATE.*.*", Operation::ConsumerCreateDurable, "consumer_create", NOTHING),
    row("CONSUMER.INFO.*.*", Operation::ConsumerInfo, "consumer_info", NOTHING),
    row("CONSUMER.NAMES.*", Operation::ConsumerNames, "consumer_names", CONSUMERS),
    row("CONSUMER.LIST.*", Operation::ConsumerList, "consumer_list", CONSUMERS),
    row("CONSUMER.DELETE.*.*", Operation::ConsumerDelete, "consumer_delete", NOTHING),
    row("CONSUMER.MSG.NEXT.*.*", Operation::ConsumerNext, "", NOTHING),
    row("CONSUMER.PAUSE.*.*", Operation::ConsumerPause, "consumer_pause", PAUSED),
    row("CONSUMER.UNPIN.*.*", Operation::ConsumerUnpin, "consumer_unpin", NOTHING),
    row("STREAM.LEADER.STEPDOWN.*", Operation::OfClusters, "stream_leader_stepdown", NOTHING),
    row("STREAM.PEER.REMOVE.*", Operation::OfClusters, "stream_remove_peer", NOTHING),
    row("CONSUMER.LEADER.STEPDOWN.*.*", Operation::OfClusters, "consumer_leader_stepdown", NOTHING),
    row("STREAM.SNAPSHOT.*", Operation::NotBuilt, "stream_snapshot", NOTHING),
    row("STREAM.RESTORE.*", Operation::NotBuilt, "stream_restore", NOTHING),
    row("CONSUMER.RESET.*.*", Operation::NotBuilt, "consumer_reset", NOTHING),
];

/// How a subject is answered that is in no row.
pub const UNKNOWN: Row = row(">", Operation::NotBuilt, "system", NOTHING);

/// What a subject says.
#[derive(Clone, Copy, Debug)]
pub struct Address<'s> {
    /// Its row.
    pub row: &'static Row,
    /// The stream that it names.
    pub stream: &'s str,
    /// The consumer that it names.
    pub consumer: &'s str,
    /// The tokens at the `>` of the row.
    pub rest: &'s str,
}

impl<'s> Address<'s> {
    /// What `subject` says; nothing if it asks for nothing that is known.
    pub fn parse(subject: &'s [u8]) -> Option<Address<'s>> {
        let subject = std::str::from_utf8(subject.strip_prefix(PREFIX)?).ok()?;
        TABLE.iter().find_map(|row| Address::matching(row, subject))
    }

    fn matching(row: &'static Row, subject: &'s str) -> Option<Address<'s>> {
        let mut address = Address { row, stream: "", consumer: "", rest: "" };
        let mut left = Some(subject);
        for wanted in tokens(row.pattern.as_bytes()) {
            let text = left.filter(|text| !text.is_empty())?;
            if wanted == ALL_TOKENS {
                address.rest = text;
                left = None;
                break;
            }
            let (token, others) = match text.split_once('.') {
                Some((token, others)) => (token, Some(others)),
                None => (text, None),
            };
            match wanted {
                ANY_TOKEN if token.is_empty() => return None,
                ANY_TOKEN if address.stream.is_empty() => address.stream = token,
                ANY_TOKEN => address.consumer = token,
                wanted if wanted == token.as_bytes() => {}
                _ => return None,
            }
            left = others;
        }
        left.is_none().then_some(address)
    }
}
