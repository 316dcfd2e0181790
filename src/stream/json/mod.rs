//! JSON as NATS' streaming API reads and writes it.
//!
//! An object is a table of members, from which reading and writing follow.  What clients send is taken as nats-server takes it:
//! names match without their case, the last of two equal names counts, `null` leaves a member as it is, and a name that no
//! member has is refused.  So are the texts of what does not fit.  Two things differ and are ours: the text behind
//! `invalid JSON: ` of a broken document, and `int64` where nats-server's field is an `int`.

mod members;
mod problem;
mod time;
mod values;
mod words;

pub use members::{Echo, Member, Members, Value};
pub use problem::Problem;
pub use time::Time;
pub use values::Nanoseconds;

pub(super) use members::{members, read_document, read_known, serialize_members};
pub(super) use words::{can_not_unmarshal, words};

/// The text of one value of a valid document.
#[derive(Clone, Copy)]
pub struct Json<'t>(&'t str);

/// What a value is, as Go names it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

impl<'t> Json<'t> {
    /// The value as it was written.
    pub(super) fn text(self) -> &'t str {
        self.0
    }

    pub(super) fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Bool,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    pub(super) fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// That this value is of another kind than `expected`, a type of Go.
    pub(super) fn mismatch(self, expected: &'static str) -> Problem {
        Problem::mismatch(self.kind().name().to_owned(), expected)
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Bool => "bool",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Array => "array",
            Kind::Object => "object",
        }
    }
}

#[cfg(test)]
mod tests;
