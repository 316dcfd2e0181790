//! The types of values and the forms in which they are written.

use super::Fault;
use super::footer::VALKEY_VERSION;

/// What a payload holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A string of bytes.
    String,
    /// Elements in their order.
    List,
    /// Members.
    Set,
    /// Members with scores.
    SortedSet,
    /// Fields with values.
    Hash,
}

/// How a value is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Form {
    /// A string.
    String,
    /// A count, and so many strings (or pairs of them).
    Strings,
    /// A count, and members with scores as text.
    TextScores,
    /// A count, and members with scores as eight bytes.
    BinaryScores,
    /// A string that is a zipmap.
    Zipmap,
    /// A string that is a ziplist.
    Ziplist,
    /// A string that is a listpack.
    Listpack,
    /// A string that is a set of integers.
    Intset,
    /// A count, and strings that are ziplists.
    Ziplists,
    /// A count, and strings that are an element or a listpack, as a number before each says.
    Listpacks,
    /// A count, and for each field when it expires, its name and its value.
    Expiring(ExpiryHead),
    /// A string that is a listpack of fields, values and when they expire.
    ExpiringListpack(ExpiryHead),
    /// A count, and for each field its name, its value and when it expires, as Valkey writes it.
    ValkeyExpiring,
}

/// Whether the earliest time at which a field expires stands before the fields, as it does since Redis 7.4.0, and not
/// in its release candidates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ExpiryHead {
    Earliest,
    Nothing,
}

/// A number that stands for a type and a form.
struct Type {
    code: u8,
    kind: Kind,
    form: Form,
}

const TYPES: &[Type] = &[
    Type { code: STRING, kind: Kind::String, form: Form::String },
    Type { code: LIST, kind: Kind::List, form: Form::Strings },
    Type { code: SET, kind: Kind::Set, form: Form::Strings },
    Type { code: 3, kind: Kind::SortedSet, form: Form::TextScores },
    Type { code: HASH, kind: Kind::Hash, form: Form::Strings },
    Type { code: SORTED_SET, kind: Kind::SortedSet, form: Form::BinaryScores },
    Type { code: 9, kind: Kind::Hash, form: Form::Zipmap },
    Type { code: 10, kind: Kind::List, form: Form::Ziplist },
    Type { code: 11, kind: Kind::Set, form: Form::Intset },
    Type { code: 12, kind: Kind::SortedSet, form: Form::Ziplist },
    Type { code: 13, kind: Kind::Hash, form: Form::Ziplist },
    Type { code: 14, kind: Kind::List, form: Form::Ziplists },
    Type { code: 16, kind: Kind::Hash, form: Form::Listpack },
    Type { code: 17, kind: Kind::SortedSet, form: Form::Listpack },
    Type { code: 18, kind: Kind::List, form: Form::Listpacks },
    Type { code: 20, kind: Kind::Set, form: Form::Listpack },
    Type { code: 22, kind: Kind::Hash, form: Form::Expiring(ExpiryHead::Nothing) },
    Type { code: 23, kind: Kind::Hash, form: Form::ExpiringListpack(ExpiryHead::Nothing) },
    Type { code: EXPIRING_HASH, kind: Kind::Hash, form: Form::Expiring(ExpiryHead::Earliest) },
    Type { code: 25, kind: Kind::Hash, form: Form::ExpiringListpack(ExpiryHead::Earliest) },
];

const STRING: u8 = 0;
const LIST: u8 = 1;
const SET: u8 = 2;
const HASH: u8 = 4;
const SORTED_SET: u8 = 5;

/// A hash whose fields expire, as it is written.
pub(super) const EXPIRING_HASH: u8 = 24;

/// Valkey has given a number of Redis another meaning.
const VALKEY_EXPIRING: u8 = 22;

/// Types that are not read, and what they are.
const FOREIGN: &[(&[u8], &str)] = &[(&[6, 7], "a module's value"), (&[15, 19, 21, 26], "a stream")];

/// The type and the form that a number stands for in a version.
pub(super) fn of_code(code: u8, version: u16) -> Result<(Kind, Form), Fault> {
    if code == VALKEY_EXPIRING && version == VALKEY_VERSION {
        return Ok((Kind::Hash, Form::ValkeyExpiring));
    }
    if let Some(row) = TYPES.iter().find(|row| row.code == code) {
        return Ok((row.kind, row.form));
    }
    let foreign = FOREIGN.iter().find(|(codes, _)| codes.contains(&code));
    Err(foreign.map_or(Fault::Format, |&(_, what)| Fault::Foreign(what)))
}

impl Kind {
    /// The number of the form in which a value of this type is written.
    pub(super) fn code(self) -> u8 {
        match self {
            Kind::String => STRING,
            Kind::List => LIST,
            Kind::Set => SET,
            Kind::SortedSet => SORTED_SET,
            Kind::Hash => HASH,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_stands_for_one_thing() {
        let mut codes: Vec<u8> = TYPES.iter().map(|row| row.code).collect();
        codes.extend(FOREIGN.iter().flat_map(|(codes, _)| codes.iter()));
        let count = codes.len();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }

    #[test]
    fn written_forms_are_read() {
        for kind in [Kind::String, Kind::List, Kind::Set, Kind::SortedSet, Kind::Hash] {
            let read = of_code(kind.code(), super::super::VERSION).map(|(kind, _)| kind);
            assert_eq!(read, Ok(kind));
        }
    }

    #[test]
    fn valkey_means_another_form_by_a_number() {
        assert_eq!(of_code(22, 12), Ok((Kind::Hash, Form::Expiring(ExpiryHead::Nothing))));
        assert_eq!(of_code(22, 80), Ok((Kind::Hash, Form::ValkeyExpiring)));
        assert_eq!(of_code(24, 80), Ok((Kind::Hash, Form::Expiring(ExpiryHead::Earliest))));
    }

    #[test]
    fn others_are_refused() {
        assert_eq!(of_code(21, 11), Err(Fault::Foreign("a stream")));
        assert_eq!(of_code(7, 11), Err(Fault::Foreign("a module's value")));
        for code in [8, 27, 255] {
            assert_eq!(of_code(code, 11), Err(Fault::Format));
        }
    }
}
