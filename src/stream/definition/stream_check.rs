//! What is filled into a stream's definition, and what is refused, in the order of nats-server.

use super::subjects::{covers, is_valid, overlaps};
use super::{
    Compression, DESCRIPTION_MAX, Discard, METADATA_MAX, NAME_MAX, PersistMode, Republish, Storage,
    StreamDefinition, is_valid_name, metadata_length,
};
use crate::stream::api::error::{self, ApiError};
use crate::stream::json::Nanoseconds;

/// For how long ids are remembered where nobody says otherwise.
const DUPLICATE_WINDOW: Nanoseconds = Nanoseconds::from_secs(120);

/// The highest sequence with which a stream may begin, so that its sequences never come to an end.
const FIRST_SEQUENCE_MAX: u64 = 1 << 62;

/// Shortest age, and shortest window of ids.
const AGE_MIN: Nanoseconds = Nanoseconds::from_millis(100);

/// Shortest lifetime of a marker.
const MARKER_TTL_MIN: Nanoseconds = Nanoseconds::from_secs(1);

/// More servers than any cluster gives to a stream.
const REPLICAS_MAX: i64 = 5;

/// The subjects of the API.  A stream with them that acknowledges would answer each of its own answers.
const API_SUBJECTS: [(&[&str], &str, &str); 2] =
    [(&["$JS.>", "$JSC.>", "$NRG.>"], "$JS.EVENT.>", "jetstream"), (&["$SYS.>"], "$SYS.ACCOUNT.>", "system")];

fn invalid<T>(text: impl std::fmt::Display) -> Result<T, ApiError> {
    Err(error::STREAM_INVALID_CONFIG.with(text))
}

fn pedantic_error<T>(text: impl std::fmt::Display) -> Result<T, ApiError> {
    Err(error::PEDANTIC.with(text))
}

impl StreamDefinition {
    /// The definition of a new stream.
    pub fn checked_for_creation(self, pedantic: bool) -> Result<StreamDefinition, ApiError> {
        if self.sealed {
            return invalid("stream configuration for create can not be sealed");
        }
        if self.mirror_direct {
            return invalid("stream has no mirror but does have mirror direct");
        }
        self.checked(pedantic)
    }

    /// The definition with defaults filled in.  A pedantic client gets an error instead of a correction.
    pub fn checked(mut self, pedantic: bool) -> Result<StreamDefinition, ApiError> {
        self.check_texts()?;
        self.check_storage()?;
        self.fill_limits(pedantic)?;
        self.check_times(pedantic)?;
        if self.first_sequence > FIRST_SEQUENCE_MAX {
            return invalid(format_args!("stream first sequence can not be above {FIRST_SEQUENCE_MAX}"));
        }
        if self.deny_purge && self.allow_rollup {
            return invalid("roll-ups require the purge permission");
        }
        self.check_discard()?;
        self.check_markers(pedantic)?;
        self.check_schedules(pedantic)?;
        if self.persist_mode == PersistMode::Async && self.storage != Storage::File {
            let mode = self.persist_mode.word();
            return invalid(format_args!("{mode} persist mode is only supported on file storage"));
        }
        self.check_subjects()?;
        self.check_republish(pedantic)?;
        if self.replicas > 1 {
            return Err(error::REPLICAS_NOT_SUPPORTED.error());
        }
        Ok(self)
    }

    fn check_texts(&self) -> Result<(), ApiError> {
        if !is_valid_name(&self.name) {
            return invalid(r"stream name is required and can not contain '.', '*', '>', '\', '/'");
        }
        if self.name.len() > NAME_MAX {
            return invalid(format_args!("stream name is too long, maximum allowed is {NAME_MAX}"));
        }
        if self.description.len() > DESCRIPTION_MAX {
            return invalid(format_args!(
                "stream description is too long, maximum allowed is {DESCRIPTION_MAX}"
            ));
        }
        if metadata_length(&self.metadata) > METADATA_MAX {
            return invalid(format_args!("stream metadata exceeds maximum size of {METADATA_MAX} bytes"));
        }
        Ok(())
    }

    fn check_storage(&mut self) -> Result<(), ApiError> {
        if self.compression != Compression::None {
            return invalid(r#"this server does not support "compression""#);
        }
        if self.replicas == 0 {
            self.replicas = 1;
        }
        if self.replicas > REPLICAS_MAX {
            return invalid(format_args!("maximum replicas is {REPLICAS_MAX}"));
        }
        if self.replicas < 0 {
            return Err(error::REPLICAS_NEGATIVE.error());
        }
        Ok(())
    }

    fn fill_limits(&mut self, pedantic: bool) -> Result<(), ApiError> {
        let mut size = i64::from(self.max_message_size);
        for (limit, name) in [
            (&mut self.max_messages, "max_msgs"),
            (&mut self.max_messages_per_subject, "max_msgs_per_subject"),
            (&mut self.max_bytes, "max_bytes"),
            (&mut size, "max_msg_size"),
            (&mut self.max_consumers, "max_consumers"),
        ] {
            if pedantic && *limit < -1 {
                return pedantic_error(format_args!("{name} must be set to -1"));
            }
            if *limit <= 0 {
                *limit = -1;
            }
        }
        self.max_message_size = i32::try_from(size).unwrap_or(-1);
        Ok(())
    }

    fn check_times(&mut self, pedantic: bool) -> Result<(), ApiError> {
        let has_age = self.max_age != Nanoseconds::ZERO;
        if self.max_age < Nanoseconds::ZERO {
            return invalid("max age can not be negative");
        }
        if has_age && self.max_age < AGE_MIN {
            return invalid("max age needs to be >= 100ms");
        }
        if self.duplicate_window == Nanoseconds::ZERO {
            self.duplicate_window = DUPLICATE_WINDOW;
            if has_age && self.max_age < DUPLICATE_WINDOW {
                if pedantic {
                    return pedantic_error("duplicate window cannot be bigger than max age");
                }
                self.duplicate_window = self.max_age;
            }
        }
        if self.duplicate_window < Nanoseconds::ZERO {
            return invalid("duplicates window can not be negative");
        }
        if has_age && self.duplicate_window > self.max_age {
            return invalid("duplicates window can not be larger then max age");
        }
        if self.duplicate_window < AGE_MIN {
            return invalid("duplicates window needs to be >= 100ms");
        }
        Ok(())
    }

    fn check_discard(&self) -> Result<(), ApiError> {
        if !self.discard_new_per_subject {
            return Ok(());
        }
        if self.discard != Discard::New {
            return invalid("discard new per subject requires discard new policy to be set");
        }
        if self.max_messages_per_subject <= 0 {
            return invalid("discard new per subject requires max msgs per subject > 0");
        }
        Ok(())
    }

    /// Markers are messages with lifetimes that remove those before them, so a stream that has them allows both.
    fn check_markers(&mut self, pedantic: bool) -> Result<(), ApiError> {
        if self.subject_delete_marker_ttl == Nanoseconds::ZERO {
            return Ok(());
        }
        if self.subject_delete_marker_ttl < Nanoseconds::ZERO {
            return invalid("subject delete marker TTL must not be negative");
        }
        if self.subject_delete_marker_ttl < MARKER_TTL_MIN {
            return invalid("subject delete marker TTL must be at least 1 second");
        }
        if !self.allow_message_ttl {
            if pedantic {
                return invalid("subject delete marker cannot be set if message TTLs are disabled");
            }
            self.allow_message_ttl = true;
        }
        if !self.allow_rollup {
            if pedantic {
                return invalid("subject delete marker cannot be set if roll-ups are disabled");
            }
            (self.allow_rollup, self.deny_purge) = (true, false);
        }
        Ok(())
    }

    /// A schedule is the last message of its subject, so a stream that has them allows one message to remove others.
    fn check_schedules(&mut self, pedantic: bool) -> Result<(), ApiError> {
        if !self.allow_message_schedules {
            return Ok(());
        }
        if self.discard == Discard::New {
            return invalid("message scheduling cannot use discard new");
        }
        if !self.allow_rollup {
            if pedantic {
                return invalid("message scheduling cannot be set if roll-ups are disabled");
            }
            (self.allow_rollup, self.deny_purge) = (true, false);
        }
        Ok(())
    }

    fn check_subjects(&mut self) -> Result<(), ApiError> {
        if self.subjects.is_empty() {
            self.subjects.push(self.name.clone());
            return Ok(());
        }
        for (place, subject) in self.subjects.iter().enumerate() {
            if !is_valid(subject) {
                return invalid("invalid subject");
            }
            if subject == ">" && !self.no_acknowledgement {
                return invalid("capturing all subjects requires no-ack to be true");
            }
            for (spaces, exception, name) in API_SUBJECTS {
                let concerned = spaces.iter().any(|space| overlaps(subject, space));
                if concerned && !self.no_acknowledgement && !covers(exception, subject) {
                    return invalid(format_args!(
                        "subjects that overlap with {name} api require no-ack to be true"
                    ));
                }
            }
            if let Some(other) = self.subjects[place + 1..].iter().find(|other| overlaps(subject, other)) {
                return invalid(format_args!("subject {subject:?} overlaps with {other:?}"));
            }
        }
        Ok(())
    }

    fn check_republish(&mut self, pedantic: bool) -> Result<(), ApiError> {
        let Some(Republish { source, destination, .. }) = &mut self.republish else { return Ok(()) };
        if source.is_empty() {
            if pedantic {
                return pedantic_error("republish source can not be empty");
            }
            ">".clone_into(source);
        }
        if self.subjects.iter().any(|subject| overlaps(destination, subject)) {
            return invalid("stream configuration for republish destination forms a cycle");
        }
        if self.republish.as_ref().is_some_and(|republish| republish.transform().is_err()) {
            let Some(Republish { source, destination, .. }) = &self.republish else { return Ok(()) };
            return invalid(format_args!(
                "stream configuration for republish with transform from '{source}' to '{destination}' not valid"
            ));
        }
        Ok(())
    }
}
