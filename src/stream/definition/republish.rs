//! Where the messages of a stream are published again, and under which subjects.

use quartet_protocol::broker::subject::{self, tokens};

use crate::stream::json::members;

/// Where the messages of a stream are published again once they are stored.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Republish {
    /// The pattern of the messages that are.
    pub source: String,
    /// The subject that they are published on, with places for tokens of the source; nothing is published if it is empty.
    pub destination: String,
    /// Whether their payloads are left out.
    pub headers_only: bool,
}

members! { Republish, "server.RePublish", {
    "src" => source IfSet,
    "dest" => destination Always,
    "headers_only" => headers_only IfSet,
} }

impl Republish {
    /// What it does to subjects; nothing if the destination is empty.
    pub fn transform(&self) -> Result<Option<Transform>, InvalidTransform> {
        if self.destination.is_empty() {
            return Ok(None);
        }
        Transform::new(&self.source, &self.destination).map(Some)
    }
}

/// A source and a destination that do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidTransform;

/// How subjects that match a pattern become others: the tokens at the source's `*` may be named in the destination as
/// `{{wildcard(1)}}` or `$1`, `{{partition(10,1)}}` stands for a number that follows from them, and `>` for the rest.  The other
/// functions of NATS are not built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transform {
    source: String,
    parts: Vec<Part>,
}

/// A token of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    /// The token at this place of the source.
    Token(usize),
    /// One of so many numbers, by the tokens at these places.
    Partition(u32, Vec<usize>),
    /// All tokens from this place on.
    Rest(usize),
}

impl Transform {
    /// The transform from one pattern to another.
    pub fn new(source: &str, destination: &str) -> Result<Transform, InvalidTransform> {
        if !subject::is_valid_pattern(source.as_bytes()) {
            return Err(InvalidTransform);
        }
        let wildcards: Vec<usize> = places(source, subject::ANY_TOKEN);
        let rest = places(source, subject::ALL_TOKENS).first().copied();
        let mut parts = Vec::new();
        for token in destination.split('.') {
            parts.push(Part::parse(token, &wildcards, rest)?);
        }
        let all = parts.iter().filter(|part| matches!(part, Part::Rest(_))).count();
        let ends_in_rest = matches!(parts.last(), Some(Part::Rest(_)));
        if (all > 0) != rest.is_some() || all > 1 || (all == 1 && !ends_in_rest) {
            return Err(InvalidTransform);
        }
        Ok(Transform { source: source.to_owned(), parts })
    }

    /// What a subject becomes; nothing if it does not match the source.
    pub fn apply(&self, subject: &[u8]) -> Option<Vec<u8>> {
        if !subject::matches(self.source.as_bytes(), subject) {
            return None;
        }
        let tokens: Vec<&[u8]> = tokens(subject).collect();
        let mut parts = Vec::with_capacity(self.parts.len());
        for part in &self.parts {
            parts.push(match part {
                Part::Literal(text) => text.as_bytes().to_vec(),
                Part::Token(place) => tokens[*place].to_vec(),
                Part::Partition(count, places) => {
                    let hash = places.iter().fold(FNV_BASIS, |hash, &place| hashed(hash, tokens[place]));
                    (hash % count).to_string().into_bytes()
                }
                Part::Rest(place) => tokens[*place..].join(&b'.'),
            });
        }
        Some(parts.join(&b'.'))
    }
}

impl Part {
    fn parse(token: &str, wildcards: &[usize], rest: Option<usize>) -> Result<Part, InvalidTransform> {
        let wildcard = |number: &str| {
            let number: usize = number.trim().parse().map_err(|_| InvalidTransform)?;
            number.checked_sub(1).and_then(|place| wildcards.get(place)).copied().ok_or(InvalidTransform)
        };
        if token == ">" {
            return rest.map(Part::Rest).ok_or(InvalidTransform);
        }
        if let Some(number) = token.strip_prefix('$').filter(|rest| rest.parse::<usize>().is_ok()) {
            return wildcard(number).map(Part::Token);
        }
        let function = token.strip_prefix("{{").and_then(|token| token.strip_suffix("}}"));
        let Some(function) = function else {
            let is_literal = subject::is_literal(token.as_bytes());
            return if is_literal { Ok(Part::Literal(token.to_owned())) } else { Err(InvalidTransform) };
        };
        let call = function.trim().strip_suffix(')').and_then(|function| function.split_once('('));
        let (name, arguments) = call.ok_or(InvalidTransform)?;
        let mut arguments = arguments.split(',');
        match name.trim().to_ascii_lowercase().as_str() {
            "wildcard" => match (arguments.next(), arguments.next()) {
                (Some(number), None) => wildcard(number).map(Part::Token),
                _ => Err(InvalidTransform),
            },
            "partition" => {
                let count = arguments.next().and_then(|count| count.trim().parse().ok());
                let count = count.filter(|&count: &u32| count > 0).ok_or(InvalidTransform)?;
                let places: Vec<usize> = arguments.map(wildcard).collect::<Result<_, _>>()?;
                // Without places the whole subject would count, which is not built.
                if places.is_empty() { Err(InvalidTransform) } else { Ok(Part::Partition(count, places)) }
            }
            _ => Err(InvalidTransform),
        }
    }
}

fn places(pattern: &str, wanted: &[u8]) -> Vec<usize> {
    let tokens = tokens(pattern.as_bytes()).enumerate();
    tokens.filter(|(_, token)| *token == wanted).map(|(place, _)| place).collect()
}

/// The start of FNV-1a, by which NATS spreads tokens over partitions.
const FNV_BASIS: u32 = 2_166_136_261;

fn hashed(hash: u32, bytes: &[u8]) -> u32 {
    bytes.iter().fold(hash, |hash, &byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619))
}
