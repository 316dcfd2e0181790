//! The second step from notation to arguments: tokens take what follows them, names tell types.

use super::notation::{Mark, Node};
use super::{Argument, ArgumentKind};

/// Names that mean keys wherever they stand.
const KEYS: &[&str] =
    &["key", "newkey", "source", "destination", "key1", "key2", "sourcekey", "destkey", "src", "dst"];

/// Names that mean integers.
const INTEGERS: &[&str] = &[
    "seconds",
    "milliseconds",
    "microseconds",
    "count",
    "max-burst",
    "cursor",
    "index",
    "index1",
    "index2",
    "increment",
    "decrement",
    "offset",
    "start",
    "end",
    "stop",
    "numkeys",
    "numreplicas",
    "numlocal",
    "timeout",
    "len",
    "bit",
    "client-id",
    "protover",
    "db",
    "destination-db",
    "port",
    "samples",
    "bits",
    "version",
    "min-match-len",
    "rank",
    "milliseconds-per-step",
    "limit",
    "quantity",
    "burst",
    "period",
    "cost",
    "actual",
    "numchecks",
];

/// Names that mean floating-point numbers.
const DOUBLES: &[&str] = &["score", "min-score", "max-score", "longitude", "latitude", "radius", "weight"];

/// The arguments of a sequence.
pub(super) fn arguments(nodes: &[Node]) -> Vec<Argument> {
    let mut arguments = Vec::new();
    let mut rest = nodes;
    while let Some((node, following)) = rest.split_first() {
        rest = following;
        match node {
            Node::Word(word) if is_token(word) => {
                let taken = rest.iter().take_while(|node| belongs_to_token(node)).count();
                arguments.push(with_token(word, &rest[..taken]));
                rest = &rest[taken..];
            }
            Node::Word(word) => arguments.push(value(word)),
            Node::Group(mark, alternatives) => arguments.push(group(*mark, alternatives)),
        }
    }
    name_ends(&mut arguments);
    arguments
}

/// Two ends of lists side by side are those of a source and of a destination.
fn name_ends(arguments: &mut [Argument]) {
    let mut ends = arguments.iter_mut().filter(|argument| argument.name == "where");
    if let (Some(from), Some(to)) = (ends.next(), ends.next()) {
        "wherefrom".clone_into(&mut from.name);
        "whereto".clone_into(&mut to.name);
    }
}

/// A token stands for itself, unless values follow that it introduces.
fn with_token(token: &str, nodes: &[Node]) -> Argument {
    let mut argument = if nodes.is_empty() {
        let name = match token {
            "ALPHA" => "sorting".to_owned(),
            "CH" => "change".to_owned(),
            "INCR" => "increment".to_owned(),
            other => other.trim_matches('"').to_lowercase(),
        };
        leaf(&name, ArgumentKind::PureToken)
    } else {
        together(arguments(nodes))
    };
    argument.token = Some(token.to_owned());
    argument
}

/// A token introduces the values and choices right after it; an optional part stands for itself.
fn belongs_to_token(node: &Node) -> bool {
    match node {
        Node::Word(word) => !is_token(word),
        Node::Group(mark, _) => *mark != Mark::Optional,
    }
}

fn group(mark: Mark, alternatives: &[Vec<Node>]) -> Argument {
    let mut argument = match alternatives {
        [sequence] => together(arguments(sequence)),
        _ => {
            let choices: Vec<Argument> =
                alternatives.iter().map(|choice| together(arguments(choice))).collect();
            let name = choice_name(&choices);
            Argument { arguments: choices, ..leaf(&name, ArgumentKind::OneOf) }
        }
    };
    match mark {
        Mark::Optional => argument.optional = true,
        Mark::Repeated => {
            argument.multiple = true;
            argument.multiple_token = argument.token.is_some();
        }
        Mark::Choice => {}
    }
    argument
}

/// One argument as it is; several as a block.
fn together(mut arguments: Vec<Argument>) -> Argument {
    if arguments.len() == 1 {
        return arguments.swap_remove(0);
    }
    let names: Vec<&str> = arguments.iter().map(|argument| argument.name.as_str()).collect();
    let name = match names.as_slice() {
        ["count", "withvalues" | "withscores"] => "options".to_owned(),
        names => names.join("_"),
    };
    Argument { arguments, ..leaf(&name, ArgumentKind::Block) }
}

fn value(name: &str) -> Argument {
    let kind = match name {
        _ if KEYS.contains(&name) => ArgumentKind::Key,
        _ if INTEGERS.contains(&name) => ArgumentKind::Integer,
        _ if DOUBLES.contains(&name) => ArgumentKind::Double,
        _ if name.starts_with("unix-time") => ArgumentKind::UnixTime,
        "pattern" => ArgumentKind::Pattern,
        _ => ArgumentKind::String,
    };
    leaf(name, kind)
}

fn leaf(name: &str, kind: ArgumentKind) -> Argument {
    Argument {
        name: name.to_owned(),
        kind,
        token: None,
        optional: false,
        multiple: false,
        multiple_token: false,
        arguments: Vec::new(),
    }
}

/// The notation does not name choices; these are the names that Redis gives the frequent ones.
fn choice_name(choices: &[Argument]) -> String {
    let names: Vec<&str> = choices.iter().map(|choice| choice.name.as_str()).collect();
    match names.as_slice() {
        names if names.contains(&"nx") => "condition".to_owned(),
        names if names.contains(&"seconds") => "expiration".to_owned(),
        ["left", "right"] | ["before", "after"] | ["min", "max"] => "where".to_owned(),
        ["gt", "lt"] => "comparison".to_owned(),
        ["asc", "desc"] => "order".to_owned(),
        ["byscore", "bylex"] => "sortby".to_owned(),
        ["sum", "min", "max"] => "aggregate".to_owned(),
        ["yes", "no"] => "mode".to_owned(),
        ["flush", "append", "replace"] => "policy".to_owned(),
        ["async", "sync"] => "flush-type".to_owned(),
        names => names.join("_"),
    }
}

/// Whether a word is to be sent as it is.
fn is_token(word: &str) -> bool {
    !word.chars().any(char::is_lowercase)
}

#[cfg(test)]
mod tests {
    use super::super::{Argument, ArgumentKind, parse};

    /// Writes a tree as one line: `name:kind`, the token before it, `?` optional, `*` multiple, parts in braces.
    fn shown(arguments: &[Argument]) -> String {
        let shown_one = |argument: &Argument| {
            let mut text = format!("{}:{}", argument.name, argument.kind.word());
            if let Some(token) = &argument.token {
                text = format!("{token}={text}");
            }
            if argument.optional {
                text.push('?');
            }
            if argument.multiple {
                text.push_str(if argument.multiple_token { "**" } else { "*" });
            }
            if argument.kind.has_parts() {
                text.push_str(&format!("{{{}}}", shown(&argument.arguments)));
            }
            text
        };
        arguments.iter().map(shown_one).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn trees_have_the_shapes_of_redis() {
        let cases = [
            ("", ""),
            ("key increment", "key:key increment:integer"),
            ("key [key ...]", "key:key*"),
            ("[event [event ...]]", "event:string?*"),
            ("key value [key value ...]", "key_value:block*{key:key value:string}"),
            ("[MATCH pattern] [COUNT count]", "MATCH=pattern:pattern? COUNT=count:integer?"),
            ("[BY pattern] [GET pattern [GET pattern ...]]", "BY=pattern:pattern? GET=pattern:pattern?**"),
            ("[LIMIT offset count]", "LIMIT=offset_count:block?{offset:integer count:integer}"),
            (
                "key [NX | XX] [GET]",
                "key:key condition:oneof?{NX=nx:pure-token XX=xx:pure-token} GET=get:pure-token?",
            ),
            (
                "[EX seconds | PXAT unix-time-milliseconds | KEEPTTL]",
                "expiration:oneof?{EX=seconds:integer PXAT=unix-time-milliseconds:unix-time KEEPTTL=keepttl:pure-token}",
            ),
            (
                "[TYPE <NORMAL | PUBSUB>]",
                "TYPE=normal_pubsub:oneof?{NORMAL=normal:pure-token PUBSUB=pubsub:pure-token}",
            ),
            (
                "numkeys key [key ...] <LEFT | RIGHT>",
                "numkeys:integer key:key* where:oneof{LEFT=left:pure-token RIGHT=right:pure-token}",
            ),
            ("STREAMS key [key ...] id [id ...]", "STREAMS=key_id:block{key:key* id:string*}"),
            (
                "<LEFT | RIGHT> <LEFT | RIGHT>",
                "wherefrom:oneof{LEFT=left:pure-token RIGHT=right:pure-token} \
                 whereto:oneof{LEFT=left:pure-token RIGHT=right:pure-token}",
            ),
            ("[GT | LT] [CH]", "comparison:oneof?{GT=gt:pure-token LT=lt:pure-token} CH=change:pure-token?"),
            ("[START end [end ...] | STOP]", "end_stop:oneof?{START=end:integer* STOP=stop:pure-token}"),
        ];
        for (syntax, expected) in cases {
            assert_eq!(shown(&parse(syntax)), expected, "{syntax}");
        }
        assert_eq!(parse("<* | id>")[0].arguments[0].kind, ArgumentKind::PureToken);
    }
}
