//! The options that SET, GETEX and INCREX share: when the key expires, and under which condition SET writes.

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use crate::clock::Now;
use crate::refusal::Refusal;
use crate::store::Deadline;

/// How a client wrote down a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Notation {
    /// `EX`: in so many seconds.
    Seconds,
    /// `PX`: in so many milliseconds.
    Milliseconds,
    /// `EXAT`: at this second of wall time.
    AtSecond,
    /// `PXAT`: at this millisecond of wall time.
    AtMillisecond,
}

/// The words for times, and their meanings.
const NOTATIONS: [(&[u8], Notation); 4] = [
    (b"EX", Notation::Seconds),
    (b"PX", Notation::Milliseconds),
    (b"EXAT", Notation::AtSecond),
    (b"PXAT", Notation::AtMillisecond),
];

/// A time as it was asked for, not yet understood: Redis looks at the number only after the key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Expiry<'a> {
    pub(super) notation: Notation,
    pub(super) amount: &'a [u8],
}

/// When a key is to be gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Expires {
    /// After this.
    At(Deadline),
    /// At once: the time has passed.
    Already,
}

impl Expiry<'_> {
    /// Understands the time; `command` is named in the refusal.
    pub(super) fn resolve(self, command: &str, now: Now) -> Result<Expires, Refusal> {
        let invalid = || Refusal::new(format!("ERR invalid expire time in '{command}' command"));
        let amount = parse_integer(self.amount).ok_or(Refusal::NOT_AN_INTEGER)?;
        if amount <= 0 {
            return Err(invalid());
        }
        let factor = match self.notation {
            Notation::Seconds | Notation::AtSecond => 1000,
            Notation::Milliseconds | Notation::AtMillisecond => 1,
        };
        let millis = amount.checked_mul(factor).ok_or_else(invalid)?;
        match self.notation {
            Notation::Seconds | Notation::Milliseconds => {
                now.wall_millis().checked_add(millis).ok_or_else(invalid)?;
                Ok(Expires::At(now.millis() + millis.unsigned_abs()))
            }
            Notation::AtSecond | Notation::AtMillisecond if millis <= now.wall_millis() => {
                Ok(Expires::Already)
            }
            Notation::AtSecond | Notation::AtMillisecond => {
                Ok(now.deadline_at_wall(millis).map_or(Expires::Already, Expires::At))
            }
        }
    }
}

/// The change of the deadline that a command asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum ExpiryOption<'a> {
    /// Nothing was said.
    #[default]
    Unsaid,
    /// `KEEPTTL`.
    Keep,
    /// `PERSIST`.
    Persist,
    /// A time.
    Set(Expiry<'a>),
}

impl<'a> ExpiryOption<'a> {
    /// Takes in the next word if it is about expiry, and returns whether it is.  Two different ones exclude each other;
    /// the same one twice is accepted, as in Redis, and its last time counts.
    pub(super) fn accept(
        &mut self,
        word: &[u8],
        rest: &mut impl Iterator<Item = &'a [u8]>,
    ) -> Result<bool, Refusal> {
        let said = if word.eq_ignore_ascii_case(b"KEEPTTL") {
            ExpiryOption::Keep
        } else if word.eq_ignore_ascii_case(b"PERSIST") {
            ExpiryOption::Persist
        } else {
            let named = NOTATIONS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
            let Some(&(_, notation)) = named else { return Ok(false) };
            ExpiryOption::Set(Expiry { notation, amount: rest.next().ok_or(Refusal::SYNTAX)? })
        };
        if !self.admits(said) {
            return Err(Refusal::SYNTAX);
        }
        *self = said;
        Ok(true)
    }

    fn admits(self, said: ExpiryOption<'_>) -> bool {
        match (self, said) {
            (ExpiryOption::Unsaid, _) => true,
            (ExpiryOption::Set(old), ExpiryOption::Set(new)) => old.notation == new.notation,
            (old, new) => old == new,
        }
    }
}

/// When SET writes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Condition<'a> {
    /// Always.
    #[default]
    Always,
    /// `NX`: if there is no such key.
    Missing,
    /// `XX`: if there is such a key.
    Present,
    /// `IFEQ`: if the key holds this.
    Equals(&'a [u8]),
}

/// The options of SET.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct SetOptions<'a> {
    pub(super) condition: Condition<'a>,
    pub(super) expiry: ExpiryOption<'a>,
    /// `GET`: the reply is the old value.
    pub(super) returns_old: bool,
}

impl<'a> SetOptions<'a> {
    /// The options among these words.
    pub(super) fn parse(words: Arguments<'a>) -> Result<SetOptions<'a>, Refusal> {
        let mut options = SetOptions::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            if word.eq_ignore_ascii_case(b"GET") {
                options.returns_old = true;
            } else if word.eq_ignore_ascii_case(b"NX") {
                options.require(Condition::Missing)?;
            } else if word.eq_ignore_ascii_case(b"XX") {
                options.require(Condition::Present)?;
            } else if word.eq_ignore_ascii_case(b"IFEQ") && options.condition == Condition::Always {
                options.condition = Condition::Equals(words.next().ok_or(Refusal::SYNTAX)?);
            } else if !options.expiry.accept(word, &mut words)? || options.expiry == ExpiryOption::Persist {
                return Err(Refusal::SYNTAX);
            }
        }
        Ok(options)
    }

    /// Adds NX or XX, which may be said twice but not with another condition.
    fn require(&mut self, condition: Condition<'a>) -> Result<(), Refusal> {
        if self.condition != Condition::Always && self.condition != condition {
            return Err(Refusal::SYNTAX);
        }
        self.condition = condition;
        Ok(())
    }
}
