//! The bodies of requests, and what they mean.

use super::error::{self, ApiError};
use super::request::{Refusal, Request};
use super::subjects::{Address, Operation};
use crate::stream::definition::ConsumerDefinition;
use crate::stream::json::{Time, members, read_document, words};

words! {
    /// Whether a consumer may exist already.
    Action, |text| format!("unknown consumer action: {text}"), {
        /// It may: then it becomes what is asked for.
        CreateOrUpdate "",
        /// It may if it is what is asked for already.
        Create "create",
        /// It must.
        Update "update",
    }
}

/// `CONSUMER.LIST` and `CONSUMER.NAMES`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PageBody {
    offset: i64,
}

members! { PageBody, "server.JSApiConsumersRequest", { "offset" => offset Always, } }

impl PageBody {
    pub(super) fn offset(&self) -> usize {
        usize::try_from(self.offset).unwrap_or_default()
    }
}

/// `STREAM.LIST` and `STREAM.NAMES`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NamesBody {
    offset: i64,
    subject: String,
}

members! { NamesBody, "server.JSApiStreamNamesRequest", {
    "offset" => offset Always,
    "subject" => subject IfSet,
} }

/// Which streams are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListBody {
    /// How many to leave out.
    pub offset: usize,
    /// The pattern that their subjects collide with; all streams if there is none.
    pub subject: Option<String>,
}

impl NamesBody {
    pub(super) fn list(self) -> ListBody {
        ListBody {
            offset: usize::try_from(self.offset).unwrap_or_default(),
            subject: Some(self.subject).filter(|subject| !subject.is_empty()),
        }
    }
}

/// `STREAM.INFO`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct InfoBody {
    offset: i64,
    deleted_details: bool,
    subjects_filter: String,
}

members! { InfoBody, "server.JSApiStreamInfoRequest", {
    "offset" => offset Always,
    "deleted_details" => deleted_details IfSet,
    "subjects_filter" => subjects_filter IfSet,
} }

impl InfoBody {
    pub(super) fn request(self, stream: String) -> Request {
        let offset = usize::try_from(self.offset).unwrap_or_default();
        let subjects = Some(self.subjects_filter).filter(|filter| !filter.is_empty());
        Request::StreamInfo {
            stream,
            deleted_details: self.deleted_details,
            subjects: subjects.map(|filter| (filter, offset)),
        }
    }
}

/// `STREAM.PURGE`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PurgeBody {
    filter: String,
    sequence: u64,
    keep: u64,
}

members! { PurgeBody, "server.JSApiStreamPurgeRequest", {
    "seq" => sequence IfSet,
    "filter" => filter IfSet,
    "keep" => keep IfSet,
} }

/// Which messages are purged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purge {
    /// The pattern of their subjects; all if there is none.
    pub filter: Option<String>,
    /// Which of them.
    pub extent: PurgeExtent,
}

/// Which of the messages on some subjects are purged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PurgeExtent {
    /// All.
    #[default]
    All,
    /// Those before this sequence.
    Before(u64),
    /// All but so many of the last.
    Keep(u64),
}

impl Purge {
    /// Reads what a purge is to take.
    ///
    /// # Errors
    /// If the text is not a valid purge request.
    pub fn read(body: &[u8]) -> Result<Purge, ApiError> {
        let mut read = PurgeBody::default();
        read_document(&mut read, &mut [], body)?;
        read.purge()
    }
}

impl PurgeBody {
    pub(super) fn purge(self) -> Result<Purge, ApiError> {
        let extent = match (self.sequence, self.keep) {
            (0, 0) => PurgeExtent::All,
            (sequence, 0) => PurgeExtent::Before(sequence),
            (0, keep) => PurgeExtent::Keep(keep),
            _ => return Err(error::BAD_REQUEST.error()),
        };
        Ok(Purge { filter: Some(self.filter).filter(|filter| !filter.is_empty()), extent })
    }
}

/// `STREAM.MSG.DELETE`.  Whether the bytes are written over makes no difference here: they go with their segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct MessageDeleteBody {
    pub(super) sequence: u64,
    no_erase: bool,
}

members! { MessageDeleteBody, "server.JSApiMsgDeleteRequest", {
    "seq" => sequence Always,
    "no_erase" => no_erase IfSet,
} }

/// `CONSUMER.PAUSE`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct PauseBody {
    pub(super) until: Option<Time>,
}

members! { PauseBody, "server.JSApiConsumerPauseRequest", { "pause_until" => until IfSet, } }

/// `CONSUMER.UNPIN`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct UnpinBody {
    pub(super) group: String,
}

members! { UnpinBody, "server.JSApiConsumerUnpinRequest", { "group" => group Always, } }

/// `CONSUMER.CREATE` in its four forms.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct ConsumerBody {
    stream: String,
    definition: ConsumerDefinition,
    action: Action,
}

members! { ConsumerBody, "server.CreateConsumerRequest", {
    "stream_name" => stream Always,
    "config" => definition Always,
    "action" => action Always,
} }

impl ConsumerBody {
    /// The request that subject and body make together.
    pub(super) fn request(address: Address<'_>, body: &[u8]) -> Result<Request, Refusal> {
        let (mut read, mut pedantic) = (ConsumerBody::default(), false);
        if !body.is_empty() {
            read_document(&mut read, &mut [("pedantic", &mut pedantic)], body)?;
        }
        read.check_name(&address)?;
        let ConsumerBody { stream, definition, action } = read;
        Ok(Request::ConsumerCreate { stream, definition: Box::new(definition), action, pedantic })
    }

    /// The name in the subject counts; what the body says besides must fit.
    fn check_name(&mut self, address: &Address<'_>) -> Result<(), ApiError> {
        let definition = &mut self.definition;
        let durable = definition.durable_name.clone();
        if self.stream != address.stream {
            return Err(error::STREAM_NAME_MISMATCH.error());
        }
        match address.row.operation {
            Operation::ConsumerCreateDurable if durable.is_empty() => {
                return Err(error::CONSUMER_DURABLE_NAME_NOT_SET.error());
            }
            Operation::ConsumerCreate if !durable.is_empty() => {
                return Err(error::CONSUMER_EPHEMERAL_WITH_DURABLE_NAME.error());
            }
            Operation::ConsumerCreateFiltered => {
                if !definition.filter_subjects.is_empty() {
                    return Err(error::CONSUMER_MULTIPLE_FILTERS_NOT_ALLOWED.error());
                }
                if definition.filter_subject != address.rest {
                    return Err(error::CONSUMER_FILTER_MISMATCH.error());
                }
            }
            _ => {}
        }
        if !address.consumer.is_empty() {
            if !durable.is_empty() && durable != address.consumer {
                return Err(error::CONSUMER_DURABLE_NAME_MISMATCH.error());
            }
            address.consumer.clone_into(&mut definition.name);
        }
        if definition.name.contains(['/', '\\']) {
            return Err(error::CONSUMER_NAME_HAS_PATH_SEPARATORS.error());
        }
        Ok(())
    }
}
