//! Error replies to a client's own faults, after which the connection goes on.
//!
//! The table below has the texts that several commands share.  A text with details of its own is made where it arises,
//! with [`Refusal::new`].  Commands of Redis have the words of Redis, to the letter.

use std::borrow::Cow;

use crate::glob::PatternTooComplex;

/// An error reply without its leading `-`: a code in capitals, a space, a sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal(Cow<'static, [u8]>);

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl Refusal {
            $($(#[$doc])* pub const $name: Refusal = Refusal(Cow::Borrowed($text.as_bytes()));)*
        }

        /// All refusals of the table with their names, for documentation and tests.
        pub const REFUSALS: &[(&str, &str)] = &[$((stringify!($name), $text)),*];
    };
}

refusals! {
    /// The options of a command do not fit together or are unknown.
    SYNTAX = "ERR syntax error";
    /// The key holds another kind of value than the command works on.
    WRONG_TYPE = "WRONGTYPE Operation against a key holding the wrong kind of value";
    /// A number is no 64-bit signed integer.
    NOT_AN_INTEGER = "ERR value is not an integer or out of range";
    /// A number that must fit 32 bits does not.
    OUT_OF_INT = "ERR value is out of range, value must between -2147483648 and 2147483647";
    /// A number is no floating-point number.
    NOT_A_FLOAT = "ERR value is not a valid float";
    /// An integer operation would leave 64 bits.
    OVERFLOW = "ERR increment or decrement would overflow";
    /// A floating-point operation would leave the finite numbers.
    NOT_FINITE = "ERR increment would produce NaN or Infinity";
    /// A string would exceed the longest one allowed.
    STRING_TOO_LONG = "ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    /// A value would be longer than `max-value-size` allows.
    VALUE_TOO_LONG = "ERR string exceeds maximum allowed size (max-value-size)";
    /// An offset before the start of a string.
    OFFSET_OUT_OF_RANGE = "ERR offset is out of range";
    /// A database number that does not exist.
    DATABASE_OUT_OF_RANGE = "ERR DB index is out of range";
    /// The key that the command needs does not exist.
    NO_SUCH_KEY = "ERR no such key";
    /// Source and destination are the same.
    SAME_OBJECT = "ERR source and destination objects are the same";
    /// The memory limit is reached and nothing may be evicted.
    OUT_OF_MEMORY = "OOM command not allowed when used memory > 'maxmemory'.";
    /// The connection has not given the password yet.
    NO_AUTHENTICATION = "NOAUTH Authentication required.";
    /// The command works on a connection, and the caller has none.
    NEEDS_CONNECTION = "ERR this command works on a connection of its own, and here is none";
    /// A command inside another one needs more than the keys of the outer one.
    NEEDS_WHOLE_STORE = "ERR this command looks beyond its keys, so it cannot run inside another command";
    /// A command inside another one names a key that the outer one did not.
    UNDECLARED_KEY = "ERR the command names a key that was not declared";
    /// A script has named no command there is.
    UNKNOWN_IN_SCRIPT = "ERR Unknown Redis command called from script";
    /// A script has called a command with too few or too many arguments.
    WRONG_ARITY_IN_SCRIPT = "ERR Wrong number of args calling Redis command from script";
    /// A script that may not write has called a command that does.
    WRITE_IN_READONLY_SCRIPT = "ERR Write commands are not allowed from read-only scripts.";
    /// A script that may write was called by a command that may not.
    WRITING_SCRIPT = "ERR Can not execute a script with write flag using *_ro command.";
    /// A script was stopped, and what it had written undone.
    SCRIPT_TOO_LONG = "ERR the script ran for longer than script-time-limit allows: it was stopped, and what it did undone";
    /// The same of a script that had done what cannot be undone.
    SCRIPT_CUT_SHORT = "ERR the script ran for longer than script-time-limit allows: it was stopped, and what it did before stays, since that could not be undone";
    /// A script was stopped since the server stops.
    SCRIPT_AT_END = "ERR the server is about to stop: the script was stopped";
    /// A script would have kept all other clients waiting.
    SCRIPT_NOT_RELIEVED = "ERR the script ran for longer than busy-reply-threshold, and no thread is left to serve other clients meanwhile: it was stopped";
    /// The store is held by a script that runs for long.
    BUSY_SCRIPT = "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.";
    /// The same of a function.
    BUSY_FUNCTION = "BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN NOSAVE.";
    /// A script that has written cannot be stopped by clients.
    UNKILLABLE = "UNKILLABLE Sorry the script already executed write commands against the dataset. You can either wait the script termination or kill the server in a hard way using the SHUTDOWN NOSAVE command.";
    /// No script has this id.
    NO_SCRIPT = "NOSCRIPT No matching script. Please use EVAL.";
    /// A script has fewer keys than none.
    NEGATIVE_KEYS = "ERR Number of keys can't be negative";
    /// A script has more keys than arguments.
    TOO_MANY_KEYS = "ERR Number of keys can't be greater than number of args";
    /// No script runs that could be stopped.
    NOT_BUSY = "NOTBUSY No scripts in execution right now.";
    /// A command may not run inside a script.
    NOT_IN_SCRIPTS = "ERR This Redis command is not allowed from script";
    /// A command may not run inside a transaction.
    NOT_IN_TRANSACTIONS = "ERR Command not allowed inside a transaction";
    /// EXEC of a transaction in which a command was refused.
    TRANSACTION_ABORTED = "EXECABORT Transaction discarded because of previous errors.";
    /// The owner has no lease on the resource, or none with the fence that it named.
    LOCK_NOT_HELD = "NOTHELD the owner does not hold the resource";
    /// The session of a lock request does not exist, or was lost.
    NO_LOCK_SESSION = "NOSESSION there is no such session";
    /// A lease that lasts as long as its session cannot be renewed by itself.
    LOCK_OF_SESSION = "LOCKMODE the lease lasts as long as its session: ping the session instead";
    /// A glob pattern that cannot be matched in bounded time.
    PATTERN_TOO_COMPLEX = "ERR pattern is too complex: at most 4096 characters between two stars if `?` or `[` is among \
                           them";
    /// A lease or a session had ended before it was on the disk.
    TOO_LATE = "TOOLATE the time was over before the disk had it: ask for a longer one, or see why the disk is slow";
    /// The client closed its side of the connection while its grant waited for the disk.
    WITHDRAWN = "WITHDRAWN the connection was closed before the disk had what was granted, so it was taken back";
    /// The journal failed, or found no room, while the reply waited for it.
    NOT_KEPT = "MISCONF the disk does not have what was done, which may be undone at the next start; the log \
                says why";
    /// The cursor of a SCAN is no number.
    INVALID_CURSOR = "ERR invalid cursor";
}

impl From<PatternTooComplex> for Refusal {
    fn from(PatternTooComplex: PatternTooComplex) -> Refusal {
        Refusal::PATTERN_TOO_COMPLEX
    }
}

/// The most bytes of a word that a refusal repeats.
const REPEATED_LENGTH_MAX: usize = 64;

/// The start of a refusal of a wrong number of arguments.
const WRONG_ARITY: &str = "ERR wrong number of arguments";

impl Refusal {
    /// A refusal with a text of its own, with the code.  It may repeat bytes of the request that are no text.
    pub fn new(text: impl Into<Vec<u8>>) -> Refusal {
        Refusal(Cow::Owned(text.into()))
    }

    /// A wrong number of arguments for a command, whose full name is like `get` or `client|kill`.
    pub fn wrong_arity(name: &str) -> Refusal {
        Refusal::new(format!("{WRONG_ARITY} for '{name}' command"))
    }

    /// A word that the command does not know, or not in this place.
    pub fn syntax_at(word: &[u8]) -> Refusal {
        let word = String::from_utf8_lossy(&word[..word.len().min(REPEATED_LENGTH_MAX)]);
        let word = word.escape_debug();
        Refusal::new([Refusal::SYNTAX.text(), format!(" at '{word}'").as_bytes()].concat())
    }

    /// Whether the command is written wrongly, rather than asking for something that cannot be done.
    pub fn is_about_grammar(&self) -> bool {
        let beginnings = [Refusal::SYNTAX.text(), Refusal::NOT_AN_INTEGER.text(), WRONG_ARITY.as_bytes()];
        beginnings.iter().any(|beginning| self.text().starts_with(beginning))
    }

    /// The code, the first word.
    pub fn code(&self) -> &str {
        let code = self.0.split(|&byte| byte == b' ').next().unwrap_or_default();
        std::str::from_utf8(code).unwrap_or_default()
    }

    /// The whole text.
    pub fn text(&self) -> &[u8] {
        &self.0
    }
}
