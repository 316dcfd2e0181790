//! The types that only settings have: words that are a choice, and the limits on a client's output.

use std::fmt;

use super::kind::{SettingKind, Value, integer, memory};

/// Makes an enum of words: one row is a variant, its word in the settings and what it means.
macro_rules! words {
    ($(#[$document:meta])* $name:ident { $($(#[$variant_document:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$document])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name { $($(#[$variant_document])* $variant,)* }

        impl $name {
            /// Every variant, in the order in which CONFIG SET lists them.
            pub const ALL: &[$name] = &[$($name::$variant),*];
            /// The words, in the same order.
            pub const WORDS: &[&str] = &[$($word),*];

            /// The word of this variant.
            pub fn word(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }

        impl Default for $name {
            fn default() -> $name {
                Self::ALL[0]
            }
        }

        impl Value for $name {
            fn assign(&mut self, text: &str, _kind: &SettingKind) -> Result<(), String> {
                let at = Self::WORDS.iter().position(|word| word.eq_ignore_ascii_case(text));
                *self = Self::ALL[at.ok_or_else(|| not_among(Self::WORDS, text))?];
                Ok(())
            }
            fn text(&self) -> String {
                self.word().to_owned()
            }
        }
    };
}

/// Words of earlier versions, and their replacements.
const GONE_WORDS: &[(&str, &str)] = &[("allkeys-s3fifo", "allkeys-adaptive")];

/// Why a word that a choice does not have is refused.
fn not_among(words: &[&str], text: &str) -> String {
    match GONE_WORDS.iter().find(|(gone, _)| gone.eq_ignore_ascii_case(text)) {
        Some((gone, instead)) => format!("{gone} is gone: use {instead}"),
        None => format!("argument(s) must be one of the following: {}", words.join(", ")),
    }
}

words! {
    /// Clients that may run DEBUG.
    ProtectedAction {
        /// None.
        No = "no",
        /// All.
        Yes = "yes",
        /// Those on this machine.
        Local = "local",
    }
}

words! {
    /// Which keys are evicted when memory is full.
    EvictionPolicy {
        /// The least recently used key that has a deadline.
        VolatileLru = "volatile-lru",
        /// The least frequently used key that has a deadline.
        VolatileLfu = "volatile-lfu",
        /// Any key that has a deadline.
        VolatileRandom = "volatile-random",
        /// The key whose deadline is nearest.
        VolatileTtl = "volatile-ttl",
        /// The least recently used key.
        AllkeysLru = "allkeys-lru",
        /// The least frequently used key.
        AllkeysLfu = "allkeys-lfu",
        /// Any key.
        AllkeysRandom = "allkeys-random",
        /// None: commands that need memory are refused.
        Noeviction = "noeviction",
        /// The key that the best policy at present would choose, of those that have a deadline.
        VolatileAdaptive = "volatile-adaptive",
        /// The key that the best policy at present would choose.
        AllkeysAdaptive = "allkeys-adaptive",
    }
}

impl EvictionPolicy {
    /// Whether several policies compete, and the best one chooses.
    pub fn is_adaptive(self) -> bool {
        matches!(self, EvictionPolicy::VolatileAdaptive | EvictionPolicy::AllkeysAdaptive)
    }
}

words! {
    /// The least severe level of messages that are logged.
    LogLevel {
        /// Everything.
        Trace = "trace",
        /// Messages for developers.
        Debug = "debug",
        /// Messages for operators.
        Info = "info",
        /// Messages that an operator should look into.
        Warn = "warn",
        /// Failures.
        Error = "error",
    }
}

words! {
    /// The format of log messages.
    LogFormat {
        /// A line for people.
        Text = "text",
        /// A JSON object a line.
        Json = "json",
    }
}

words! {
    /// The part of the locks that survives a restart.
    LockDurability {
        /// Leases if there is a directory for data, else nothing.
        Auto = "auto",
        /// Leases: they are on the disk before the reply is sent.
        Full = "full",
        /// Fencing tokens: none is given twice.
        Fence = "fence",
        /// Nothing.
        None = "none",
    }
}

words! {
    /// What happens to a receiver for which too much waits.
    SlowConsumer {
        /// It is disconnected.
        Disconnect = "disconnect",
        /// It misses the messages that have waited longest.
        DropOldest = "drop-oldest",
        /// It misses the new messages.
        DropNewest = "drop-newest",
        /// It misses, of each subject, all but the last message.
        KeepLatest = "keep-latest",
    }
}

/// How much output may wait for a client that does not read; 0 is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimit {
    /// At this many bytes the client is disconnected at once.
    pub hard: usize,
    /// At this many bytes the client is disconnected after [`OutputLimit::soft_seconds`].
    pub soft: usize,
    /// How long the client may stay over its soft limit.
    pub soft_seconds: u64,
}

/// The limits on output of all classes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputLimits {
    /// Of ordinary clients.
    pub normal: OutputLimit,
    /// Of replicas.  There are none, but Redis' setting has them and shows what was written.
    pub slave: OutputLimit,
    /// Of subscribers.
    pub pubsub: OutputLimit,
}

impl OutputLimits {
    /// The limits after a change of the classes that `text` names.
    pub(super) fn changed_by(mut self, text: &str) -> Result<OutputLimits, String> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let (groups, rest) = words.as_chunks::<4>();
        if !rest.is_empty() || groups.is_empty() {
            return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
        }
        for [class, hard, soft, seconds] in groups {
            let limit = match class.to_ascii_lowercase().as_str() {
                "normal" => &mut self.normal,
                "slave" | "replica" => &mut self.slave,
                "pubsub" => &mut self.pubsub,
                _ => {
                    return Err("Invalid client class specified in buffer limit configuration.".to_owned());
                }
            };
            *limit = OutputLimit::parse(hard, soft, seconds)
                .ok_or("Error in hard, soft or soft_seconds setting in buffer limit configuration.")?;
        }
        Ok(self)
    }
}

impl OutputLimit {
    fn parse(hard: &str, soft: &str, seconds: &str) -> Option<OutputLimit> {
        Some(OutputLimit {
            hard: memory(hard)?.try_into().ok()?,
            soft: memory(soft)?.try_into().ok()?,
            soft_seconds: integer(seconds)?.try_into().ok()?,
        })
    }
}

impl fmt::Display for OutputLimits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OutputLimits { normal, slave, pubsub } = self;
        write!(formatter, "normal {normal} slave {slave} pubsub {pubsub}")
    }
}

impl fmt::Display for OutputLimit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} {}", self.hard, self.soft, self.soft_seconds)
    }
}
