//! The notation in which rows write down arguments, and its consequences: arity, the argument trees of COMMAND
//! DOCS, and the shapes from which tests grow requests.
//!
//! Words are separated by blanks; a word without small letters is a token to be sent as it is, any other names a
//! value.  `[…]` is optional, `<A | B>` a required choice, and `key [key ...]` says that what precedes may be
//! repeated.

mod notation;
mod tree;

use notation::{Mark, Node};

/// One argument, or several that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name in the documentation.
    pub name: String,
    /// Its type.
    pub kind: ArgumentKind,
    /// The word to be sent before it; of a [`ArgumentKind::PureToken`] the only one to be sent.
    pub token: Option<String>,
    /// It may be left out.
    pub optional: bool,
    /// It may be repeated.
    pub multiple: bool,
    /// The token is to be repeated with it.
    pub multiple_token: bool,
    /// The parts of a [`ArgumentKind::Block`], the choices of a [`ArgumentKind::OneOf`].
    pub arguments: Vec<Argument>,
}

/// The type of an argument, in the words of COMMAND DOCS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// The name of a key.
    Key,
    /// Any bytes.
    String,
    /// A 64-bit integer.
    Integer,
    /// A floating-point number.
    Double,
    /// A glob-like pattern.
    Pattern,
    /// Seconds or milliseconds since 1970.
    UnixTime,
    /// A word of the command itself.
    PureToken,
    /// Exactly one of its parts.
    OneOf,
    /// All of its parts in their order.
    Block,
}

impl ArgumentKind {
    /// The word that COMMAND DOCS uses.
    pub fn word(self) -> &'static str {
        match self {
            ArgumentKind::Key => "key",
            ArgumentKind::String => "string",
            ArgumentKind::Integer => "integer",
            ArgumentKind::Double => "double",
            ArgumentKind::Pattern => "pattern",
            ArgumentKind::UnixTime => "unix-time",
            ArgumentKind::PureToken => "pure-token",
            ArgumentKind::OneOf => "oneof",
            ArgumentKind::Block => "block",
        }
    }

    /// Whether it has parts.
    pub fn has_parts(self) -> bool {
        matches!(self, ArgumentKind::OneOf | ArgumentKind::Block)
    }
}

/// The arguments that a syntax describes, in their order.
///
/// # Panics
/// If brackets do not match, which the test of the table of all commands shows.
pub fn parse(syntax: &str) -> Vec<Argument> {
    tree::arguments(&notation::read(syntax))
}

/// How many arguments a syntax requires, and whether that is also the most it takes.
pub fn argument_count(syntax: &str) -> (i32, bool) {
    count_all(&notation::read(syntax))
}

fn count_all(nodes: &[Node]) -> (i32, bool) {
    nodes.iter().map(count).fold((0, true), |(sum, fixed), (least, exact)| (sum + least, fixed && exact))
}

fn count(node: &Node) -> (i32, bool) {
    match node {
        Node::Word(_) => (1, true),
        Node::Group(Mark::Optional, _) => (0, false),
        Node::Group(Mark::Choice, choices) => {
            let counts: Vec<_> = choices.iter().map(|choice| count_all(choice)).collect();
            let least = counts.iter().map(|(least, _)| *least).min().unwrap_or(0);
            (least, counts.iter().all(|&(count, exact)| exact && count == least))
        }
        Node::Group(Mark::Repeated, nodes) => {
            (nodes.iter().map(|nodes| count_all(nodes).0).sum::<i32>(), false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::argument_count;

    #[test]
    fn counts_required_arguments() {
        let cases = [
            ("", (0, true)),
            ("key", (1, true)),
            ("key value", (2, true)),
            ("key [key ...]", (1, false)),
            ("key value [key value ...]", (2, false)),
            ("[event [event ...]]", (0, false)),
            ("key seconds [NX | XX | GT | LT]", (2, false)),
            ("<ON | OFF | SKIP>", (1, true)),
            ("<LIB-NAME name | LIB-VER version>", (2, true)),
            ("key <EX seconds | PERSIST>", (2, false)),
            ("numkeys key [key ...] <LEFT | RIGHT> [COUNT count]", (3, false)),
        ];
        for (syntax, expected) in cases {
            assert_eq!(argument_count(syntax), expected, "{syntax}");
        }
    }
}
