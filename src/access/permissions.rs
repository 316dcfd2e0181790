//! What a user may publish and subscribe to: the one place that decides about subjects.
//!
//! There are two lists for publishing and two for subscribing: one says which subjects are allowed, the other which are denied.
//! A subject that is in both is denied.  Where the list of allowed subjects is missing, every subject is allowed; where it
//! is empty, none is.
//!
//! A subscription by wildcard is allowed only if one entry of the list covers it whole, and if no message that it could
//! bring is denied.  nats-server lets a subscription that overlaps a denied subject in and leaves out what is denied; here it
//! is refused, so nobody mistakes a part for the whole, and no message has to be checked on its way to a receiver.
//!
//! An entry of a list for subscriptions may name a queue group behind the subject, which may be a wildcard: `orders workers`.
//! It concerns subscriptions of that group only, and where such an entry allows a subject, other groups may not use it.
//!
//! Clients await the answers to their requests on subjects below `_INBOX`.  No list allows these by itself: a user that makes
//! requests needs the entry `_INBOX.>`, or one for a prefix of its own if others must not read along.

use std::fmt;
use std::time::Duration;

use hashbrown::HashSet;
use quartet_protocol::broker::subject;

/// The beginnings of reply subjects that only a server may use.
const RESERVED_REPLIES: &[&[u8]] = &[b"$JS.ACK.", b"_R_.", b"_GR_."];

/// Whether a client may not name this subject for replies.
pub fn is_reserved_reply(reply: &[u8]) -> bool {
    RESERVED_REPLIES.iter().any(|prefix| reply.starts_with(prefix))
}

/// What a user may do.  A user that may do everything has none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// The subjects of messages that the user sends.
    pub publish: Permission,
    /// The subjects of messages that the user receives.
    pub subscribe: Permission,
    /// Whether the user may answer requests, whatever their reply subjects are.
    pub responses: Option<Responses>,
}

/// The lists for one direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// The allowed subjects.  Without a list every subject is allowed.
    pub allow: Option<Subjects>,
    /// What is not allowed all the same.
    pub deny: Subjects,
}

/// The answers that a user may give to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Responses {
    /// How many.
    pub max: u32,
    /// For how long after the request was delivered.
    pub ttl: Duration,
}

impl Default for Responses {
    /// As in nats-server.
    fn default() -> Responses {
        Responses { max: 1, ttl: Duration::from_secs(2 * 60) }
    }
}

impl Permissions {
    /// Whether a message may be published on this subject.  Answers to requests are a matter of
    /// [`OpenRequests`](super::OpenRequests).
    pub fn may_publish(&self, subject: &[u8]) -> bool {
        let Permission { allow, deny } = &self.publish;
        !deny.contains(subject) && allow.as_ref().is_none_or(|allow| allow.contains(subject))
    }

    /// Whether all messages on the subjects that `pattern` matches may be received, in this queue group or in none.
    pub fn may_subscribe(&self, pattern: &[u8], group: Option<&[u8]>) -> bool {
        let Permission { allow, deny } = &self.subscribe;
        !deny.overlaps(pattern, group) && allow.as_ref().is_none_or(|allow| allow.covers(pattern, group))
    }

    /// The reason why a subscription is refused, for the log.
    pub fn why_not_subscribe(&self, pattern: &[u8], group: Option<&[u8]>) -> &'static str {
        match &self.subscribe {
            Permission { deny, .. } if deny.overlaps(pattern, group) => {
                "it would bring messages that the user's `subscribe` denies: subscribe to less, or deny less"
            }
            _ if subject::first_token(pattern) == subject::INBOX => {
                "clients await answers to their requests there: add \"_INBOX.>\" to what the user's `subscribe` allows"
            }
            _ => "no entry that the user's `subscribe` allows covers it whole: add one, or subscribe to less",
        }
    }
}

/// A list of subjects and wildcards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subjects {
    /// As they were given.
    rules: Box<[Rule]>,
    /// Those of them that match one subject, so that a long list costs a message one look.
    literals: HashSet<Box<[u8]>>,
    /// The others.
    wildcards: Box<[Box<[u8]>]>,
}

/// An entry of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// A valid subject, or a wildcard for several.
    pub subject: Box<str>,
    /// The only queue groups that it concerns; none if it concerns every subscription.
    pub group: Option<Box<str>>,
}

impl Rule {
    /// The entry that `text` says: a subject, and after a space perhaps a queue group.
    ///
    /// # Errors
    /// With what is not valid.
    pub fn parse(text: &str) -> Result<Rule, &'static str> {
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let (subject, group) = (words.next().unwrap_or_default(), words.next());
        if words.next().is_some() {
            return Err("more than a subject and a queue group");
        }
        if !subject::is_valid_pattern(subject.as_bytes()) {
            return Err("no subject");
        }
        if !group.is_none_or(|group| subject::is_valid_pattern(group.as_bytes())) {
            return Err("no name of a queue group behind the subject");
        }
        Ok(Rule { subject: subject.into(), group: group.map(Into::into) })
    }

    /// Whether it concerns a subscription of this group, or of none.
    fn concerns(&self, group: Option<&[u8]>) -> bool {
        let Some(own) = self.group.as_deref().map(str::as_bytes) else { return true };
        group.is_some_and(|group| own == group || subject::covers(own, group))
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.subject)?;
        self.group.iter().try_for_each(|group| write!(formatter, " {group}"))
    }
}

impl Subjects {
    /// The list of these entries.
    pub fn new(rules: Vec<Rule>) -> Subjects {
        let subjects = rules.iter().map(|rule| Box::from(rule.subject.as_bytes()));
        let (wildcards, literals): (Vec<Box<[u8]>>, Vec<_>) =
            subjects.partition(|subject| subject::has_wildcard(subject));
        Subjects {
            rules: rules.into(),
            literals: literals.into_iter().collect(),
            wildcards: wildcards.into(),
        }
    }

    /// The entries, as they were given.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Whether an entry matches this subject.  A list for publishing names no groups.
    fn contains(&self, subject: &[u8]) -> bool {
        self.literals.contains(subject)
            || self.wildcards.iter().any(|wildcard| subject::matches(wildcard, subject))
    }

    /// Whether an entry for this group covers all that `pattern` matches.
    fn covers(&self, pattern: &[u8], group: Option<&[u8]>) -> bool {
        let covers = |rule: &&Rule| subject::covers(rule.subject.as_bytes(), pattern);
        let (of_groups, of_all): (Vec<&Rule>, Vec<&Rule>) =
            self.rules.iter().filter(covers).partition(|rule| rule.group.is_some());
        match group {
            Some(_) if !of_groups.is_empty() => of_groups.iter().any(|rule| rule.concerns(group)),
            _ => !of_all.is_empty(),
        }
    }

    /// Whether an entry for this group matches something that `pattern` matches too.
    fn overlaps(&self, pattern: &[u8], group: Option<&[u8]>) -> bool {
        let overlaps = |rule: &Rule| subject::overlaps(rule.subject.as_bytes(), pattern);
        self.rules.iter().any(|rule| rule.concerns(group) && overlaps(rule))
    }
}

/// What a client may not do, in the words that clients look for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Violation<'a> {
    /// To publish on this subject.
    Publish(&'a [u8]),
    /// To have messages answered to this subject.
    Reply(&'a [u8]),
    /// To subscribe.
    Subscription {
        /// To what.
        pattern: &'a [u8],
        /// In which queue group, if in one.
        group: Option<&'a [u8]>,
    },
}

impl fmt::Display for Violation<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Permissions Violation for ")?;
        match *self {
            Violation::Publish(subject) => write!(formatter, "Publish to {}", Quoted(subject)),
            Violation::Reply(reply) => write!(formatter, "Publish with Reply of {}", Quoted(reply)),
            Violation::Subscription { pattern, group: None } => {
                write!(formatter, "Subscription to {}", Quoted(pattern))
            }
            Violation::Subscription { pattern, group: Some(group) } => {
                write!(formatter, "Subscription to {} using queue {}", Quoted(pattern), Quoted(group))
            }
        }
    }
}

/// Bytes between double quotes, on one line, as nats-server writes them.
struct Quoted<'a>(&'a [u8]);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write;

        formatter.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            for character in chunk.valid().chars() {
                match character {
                    '"' | '\\' => write!(formatter, "\\{character}")?,
                    '\0'..' ' | '\x7f' => write!(formatter, "\\x{:02x}", u32::from(character))?,
                    _ if character.is_control() => write!(formatter, "\\u{:04x}", u32::from(character))?,
                    _ => formatter.write_char(character)?,
                }
            }
            chunk.invalid().iter().try_for_each(|byte| write!(formatter, "\\x{byte:02x}"))?;
        }
        formatter.write_char('"')
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subjects(entries: &[&str]) -> Subjects {
        let rule = |entry: &&str| Rule::parse(entry).expect("it is valid");
        Subjects::new(entries.iter().map(rule).collect())
    }

    fn allow(entries: &[&str]) -> Permission {
        Permission { allow: Some(subjects(entries)), ..Permission::default() }
    }

    fn deny(entries: &[&str]) -> Permission {
        Permission { deny: subjects(entries), ..Permission::default() }
    }

    /// Which of these subjects may be published on.
    #[track_caller]
    fn check_publish(publish: Permission, cases: &[(&str, bool)]) {
        let permissions = Permissions { publish, ..Permissions::default() };
        for (subject, expected) in cases {
            assert_eq!(permissions.may_publish(subject.as_bytes()), *expected, "{subject}");
        }
    }

    /// Which of these subscriptions are let in; a group stands behind a space.
    #[track_caller]
    fn check_subscribe(subscribe: Permission, cases: &[(&str, bool)]) {
        let permissions = Permissions { subscribe, ..Permissions::default() };
        for (case, expected) in cases {
            let (pattern, group) = match case.split_once(' ') {
                Some((pattern, group)) => (pattern, Some(group.as_bytes())),
                None => (*case, None),
            };
            assert_eq!(permissions.may_subscribe(pattern.as_bytes(), group), *expected, "{case}");
        }
    }

    #[test]
    fn what_is_published_is_matched_token_by_token() {
        check_publish(
            allow(&["foo", "bar.*", "baz.>", "lit.*.x"]),
            &[
                ("foo", true),
                ("foo.", false),
                ("foo.a", false),
                ("Foo", false),
                ("bar", false),
                ("bar.a", true),
                ("bar.a.b", false),
                ("baz", false),
                ("baz.a", true),
                ("baz.a.b", true),
                ("lit.1.x", true),
                ("lit.1.y", false),
                // What is published is never a wildcard, so these are tokens.
                ("lit.*.x", true),
                ("lit.>", false),
                ("bar.*", true),
                ("bar.>", true),
                ("", false),
            ],
        );
        check_publish(
            deny(&["foo", "bar.*"]),
            &[("foo", false), ("foo.x", true), ("bar.x", false), ("bar.*", false), ("x", true)],
        );
        let both = Permission { deny: subjects(&["a.b"]), ..allow(&["a.>"]) };
        check_publish(both, &[("a.b", false), ("a.c", true), ("b", false)]);
        check_publish(allow(&[]), &[("x", false)]);
        check_publish(Permission::default(), &[("x", true), ("$SYS.x", true)]);
    }

    #[test]
    fn a_wildcard_is_covered_whole_or_refused() {
        check_subscribe(
            allow(&["foo", "bar.*", "baz.>", "*"]),
            &[
                ("foo", true),
                ("bar.a", true),
                ("bar.*", true),
                ("bar.>", false),
                ("bar.*.x", false),
                ("baz.>", true),
                ("baz.*", true),
                ("baz.*.x", true),
                ("x", true),
                ("*", true),
                (">", false),
                ("*.a", false),
                ("_INBOX.abc.*", false),
            ],
        );
        check_subscribe(allow(&[">"]), &[(">", true), ("*.a", true), ("_INBOX.abc.*", true)]);
        // Two entries that cover it together are not enough.
        check_subscribe(allow(&["a.*", "a.*.>"]), &[("a.>", false), ("a.*", true), ("a.*.>", true)]);
        check_subscribe(allow(&[]), &[("x", false), ("_INBOX.x", false)]);
    }

    #[test]
    fn a_wildcard_that_would_bring_what_is_denied_is_refused() {
        check_subscribe(
            deny(&["secret.>"]),
            &[
                ("secret", true),
                ("secret.x", false),
                ("secret.*", false),
                ("secret.>", false),
                (">", false),
                ("*.x", false),
                ("*", true),
                ("x.>", true),
                ("_INBOX.x.*", true),
            ],
        );
        let both = Permission { deny: subjects(&["a.b"]), ..allow(&["a.>"]) };
        check_subscribe(both, &[("a.b", false), ("a.c", true), ("a.*", false), ("a.*.b", true)]);
    }

    #[test]
    fn an_entry_may_name_a_queue_group() {
        check_subscribe(
            allow(&["plain", "w q", "v", "v g", "r.* q.*"]),
            &[
                ("plain", true),
                ("plain any", true),
                ("w", false),
                ("w q", true),
                ("w z", false),
                ("v", true),
                ("v g", true),
                ("v z", false),
                ("r.1", false),
                ("r.1 q.1", true),
                ("r.* q.1", true),
                ("r.1 q.*", true),
                ("r.1 z", false),
                ("r.> q.1", false),
            ],
        );
        check_subscribe(
            deny(&["dq q", "dd", "dd q", "dp.> *"]),
            &[
                ("dq", true),
                ("dq q", false),
                ("dq z", true),
                ("* q", false),
                ("*", false),
                ("dd", false),
                ("dd q", false),
                ("dd z", false),
                ("dp.1", true),
                ("dp.1 any", false),
                ("dp.1 a.b", true),
            ],
        );
    }

    #[test]
    fn entries_are_read_strictly() {
        for (text, subject, group) in [
            ("a.*.>", "a.*.>", None),
            ("a  workers.*", "a", Some("workers.*")),
            (" a ", "a", None),
            ("foo*", "foo*", None),
        ] {
            let rule = Rule { subject: subject.into(), group: group.map(Into::into) };
            assert_eq!(Rule::parse(text), Ok(rule));
        }
        for (text, error) in [
            ("", "no subject"),
            ("a..b", "no subject"),
            (".a", "no subject"),
            ("a.>.b", "no subject"),
            ("a\tb", "no subject"),
            ("a .", "no name of a queue group behind the subject"),
            ("a b c", "more than a subject and a queue group"),
        ] {
            assert_eq!(Rule::parse(text), Err(error), "{text}");
        }
        assert_eq!(Rule::parse("a  b").map(|rule| rule.to_string()).as_deref(), Ok("a b"));
    }

    #[test]
    fn violations_are_in_the_words_that_clients_look_for() {
        let check = |violation: Violation<'_>, text: &str| {
            assert_eq!(violation.to_string(), format!("Permissions Violation for {text}"));
        };
        check(Violation::Publish(b"foo.bar"), r#"Publish to "foo.bar""#);
        check(Violation::Publish("b\u{e4}r".as_bytes()), "Publish to \"b\u{e4}r\"");
        check(Violation::Publish(b"a\"b\\\x01\xff"), r#"Publish to "a\"b\\\x01\xff""#);
        check(Violation::Reply(b"_R_.x"), r#"Publish with Reply of "_R_.x""#);
        check(Violation::Subscription { pattern: b"foo.>", group: None }, r#"Subscription to "foo.>""#);
        check(
            Violation::Subscription { pattern: b"foo", group: Some(b"q") },
            r#"Subscription to "foo" using queue "q""#,
        );
    }

    #[test]
    fn the_log_names_the_remedy() {
        let subscribe = Permission { deny: subjects(&["a.b"]), ..allow(&["a.>"]) };
        let permissions = Permissions { subscribe, ..Permissions::default() };
        for (pattern, expected) in
            [("_INBOX.x.*", "add \"_INBOX.>\""), ("a.*", "denies"), ("b", "covers it whole")]
        {
            let reason = permissions.why_not_subscribe(pattern.as_bytes(), None);
            assert!(reason.contains(expected), "{pattern}: {reason}");
        }
    }

    #[test]
    fn some_reply_subjects_are_the_servers_own() {
        for reply in ["$JS.ACK.x", "_R_.x", "_GR_.x"] {
            assert!(is_reserved_reply(reply.as_bytes()), "{reply}");
        }
        for reply in ["_R_", "$JS.ACK", "$JS.API.x", "_INBOX.x", ""] {
            assert!(!is_reserved_reply(reply.as_bytes()), "{reply}");
        }
    }
}
