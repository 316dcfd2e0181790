//! The options of the lock commands: words that may come in any order, each once.

use quartet_protocol::resp::Arguments;
use quartet_protocol::resp::number::parse_integer;

use crate::lock::limits::RESOURCES_PER_REQUEST_MAX;
use crate::lock::{Mode, RequestId, SessionId};
use crate::refusal::Refusal;

/// The options behind the positions of a command.  Each command names the words it knows.
#[derive(Default)]
pub(super) struct Options<'a> {
    pub(super) ttl: Option<u64>,
    pub(super) wait: u64,
    pub(super) mode: Option<Mode>,
    pub(super) is_reentrant: bool,
    pub(super) session: Option<SessionId>,
    /// The id of the request; empty if there is none.
    request: &'a [u8],
    pub(super) meta: &'a [u8],
    pub(super) fence: Option<u64>,
    pub(super) all: bool,
    pub(super) owner: Option<&'a [u8]>,
    pub(super) resource: Option<&'a [u8]>,
    pub(super) reason: &'a [u8],
    pub(super) pattern: Option<&'a [u8]>,
    pub(super) cursor: usize,
    pub(super) count: Option<usize>,
    pub(super) delay: u64,
    pub(super) is_bound: bool,
}

/// Takes the arguments behind a word into the options.
type Take = for<'a> fn(&mut Options<'a>, &mut dyn Iterator<Item = &'a [u8]>) -> Result<(), Refusal>;

/// The words and what they mean.
const WORDS: &[(&str, Take)] = &[
    ("TTL", |options, rest| put(&mut options.ttl, Some(number(rest)?))),
    ("WAIT", |options, rest| put(&mut options.wait, number(rest)?)),
    ("EXCLUSIVE", |options, _| put(&mut options.mode, Some(Mode::Exclusive))),
    ("SHARED", |options, _| put(&mut options.mode, Some(Mode::Shared))),
    ("PERMITS", |options, rest| {
        let count = small(rest)?;
        if !rest.next().is_some_and(|word| word.eq_ignore_ascii_case(b"OF")) {
            return Err(Refusal::SYNTAX);
        }
        put(&mut options.mode, Some(Mode::Permits { count, of: small(rest)? }))
    }),
    ("REENTRANT", |options, _| put(&mut options.is_reentrant, true)),
    ("SESSION", |options, rest| put(&mut options.session, Some(session(text(rest)?)?))),
    ("REQID", |options, rest| {
        let id = text(rest)?;
        if id.is_empty() {
            // From a variable that was never set: the retry would be taken for a new request.
            return Err(Refusal::new("ERR REQID is empty"));
        }
        put(&mut options.request, id)
    }),
    ("META", |options, rest| put(&mut options.meta, text(rest)?)),
    ("FENCE", |options, rest| put(&mut options.fence, Some(number(rest)?))),
    ("ALL", |options, _| put(&mut options.all, true)),
    ("OWNER", |options, rest| put(&mut options.owner, Some(text(rest)?))),
    ("RESOURCE", |options, rest| put(&mut options.resource, Some(text(rest)?))),
    ("REASON", |options, rest| put(&mut options.reason, text(rest)?)),
    ("MATCH", |options, rest| put(&mut options.pattern, Some(text(rest)?))),
    ("CURSOR", |options, rest| put(&mut options.cursor, number(rest)? as usize)),
    ("COUNT", |options, rest| put(&mut options.count, Some(number(rest)? as usize))),
    ("DELAY", |options, rest| put(&mut options.delay, number(rest)?)),
    ("CONN", |options, _| put(&mut options.is_bound, true)),
];

/// How a resource is held: only one of these words may be there.
pub(super) const MODES: &[&str] = &["EXCLUSIVE", "SHARED", "PERMITS"];

impl<'a> Options<'a> {
    /// The options among these words, of which `known` are those of the command.
    pub(super) fn parse(words: Arguments<'a>, known: &[&str]) -> Result<Options<'a>, Refusal> {
        let mut options = Options::default();
        let mut said: Vec<&str> = Vec::new();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let row = WORDS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name.as_bytes()));
            let Some(&(name, take)) = row.filter(|(name, _)| known.contains(name)) else {
                return Err(Refusal::syntax_at(word));
            };
            let excludes = |other: &&str| *other == name || (MODES.contains(other) && MODES.contains(&name));
            if said.iter().any(excludes) {
                return Err(Refusal::syntax_at(word));
            }
            said.push(name);
            take(&mut options, &mut words).map_err(|refusal| about(name, refusal))?;
        }
        Ok(options)
    }

    /// The id of the request, unique among those of this owner.
    pub(super) fn request_of(&self, owner: &'a [u8]) -> RequestId<'a> {
        RequestId { scope: owner, id: self.request }
    }

    /// The id of the request, unique on the server.
    pub(super) fn request(&self) -> RequestId<'a> {
        RequestId { scope: b"", id: self.request }
    }

    /// How to hold the resource: exclusively by default.
    pub(super) fn mode(&self) -> Mode {
        self.mode.unwrap_or(Mode::Exclusive)
    }
}

/// The resources whose number stands at `position`, and the arguments behind them.
pub(super) fn counted_resources<'a>(
    arguments: Arguments<'a>,
    position: usize,
) -> Result<(Vec<&'a [u8]>, Arguments<'a>), Refusal> {
    let count = whole(arguments.at(position))?;
    let most = RESOURCES_PER_REQUEST_MAX.min(arguments.len() - position - 1) as u64;
    if count == 0 || count > most {
        return Err(Refusal::new(format!(
            "ERR numkeys must be the number of resources, between 1 and {RESOURCES_PER_REQUEST_MAX}"
        )));
    }
    let (first, count) = (position + 1, count as usize);
    Ok((arguments.from(first).iter().take(count).collect(), arguments.from(first + count)))
}

/// The session that a client has named.
pub(super) fn session(name: &[u8]) -> Result<SessionId, Refusal> {
    SessionId::parse(name).ok_or(Refusal::NO_LOCK_SESSION)
}

/// A number that is not negative.
pub(super) fn whole(text: &[u8]) -> Result<u64, Refusal> {
    let number = parse_integer(text).ok_or(Refusal::NOT_AN_INTEGER)?;
    u64::try_from(number).map_err(|_| Refusal::NOT_AN_INTEGER)
}

/// A refusal that names the option it is about.
pub(super) fn about(name: &str, refusal: Refusal) -> Refusal {
    if refusal == Refusal::NOT_AN_INTEGER {
        return Refusal::new(format!("ERR {name} must be a whole number that is not negative"));
    }
    if refusal == Refusal::SYNTAX { Refusal::syntax_at(name.as_bytes()) } else { refusal }
}

/// Sets an option.
fn put<T>(option: &mut T, value: T) -> Result<(), Refusal> {
    *option = value;
    Ok(())
}

fn text<'a>(rest: &mut dyn Iterator<Item = &'a [u8]>) -> Result<&'a [u8], Refusal> {
    rest.next().ok_or(Refusal::SYNTAX)
}

fn number(rest: &mut dyn Iterator<Item = &[u8]>) -> Result<u64, Refusal> {
    whole(text(rest)?)
}

fn small(rest: &mut dyn Iterator<Item = &[u8]>) -> Result<u32, Refusal> {
    number(rest)?.try_into().map_err(|_| Refusal::NOT_AN_INTEGER)
}
