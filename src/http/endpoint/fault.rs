//! Faults of values that clients send: the field at fault, and the values that are allowed there.

use std::fmt::{self, Display};

use serde::de::{self, Expected, Unexpected};

use super::problem::Problem;
use super::problems;

/// Why a value cannot be read.
#[derive(Debug)]
pub(super) struct Fault {
    /// The names and places that lead to it, the innermost first.
    path: Vec<Step>,
    kind: FaultKind,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Item(usize),
}

#[derive(Debug)]
enum FaultKind {
    /// There is no field of this name; these fields exist.
    Unknown(String, &'static [&'static str]),
    Missing(&'static str),
    Repeated(&'static str),
    /// Something else is allowed there.
    Allowed(String),
    /// It is not JSON.
    Broken(String),
    Other(String),
}

impl Fault {
    /// Something else is allowed there.
    pub(super) fn allowed(words: impl Into<String>) -> Fault {
        Fault::new(FaultKind::Allowed(words.into()))
    }

    /// It is not JSON.
    pub(super) fn broken(error: &serde_json::Error) -> Fault {
        Fault::new(FaultKind::Broken(error.to_string()))
    }

    fn new(kind: FaultKind) -> Fault {
        Fault { path: Vec::new(), kind }
    }

    /// The same within a field.
    pub(super) fn in_field(mut self, name: &str) -> Fault {
        self.path.push(Step::Field(name.to_owned()));
        self
    }

    /// The same within an item of a list.
    pub(super) fn in_item(mut self, place: usize) -> Fault {
        self.path.push(Step::Item(place));
        self
    }

    /// The same in other words, if the value itself is at fault rather than a part of it.
    pub(super) fn or_allowed(mut self, words: &str) -> Fault {
        if let FaultKind::Allowed(allowed) = &mut self.kind
            && self.path.is_empty()
        {
            words.clone_into(allowed);
        }
        self
    }

    /// Where it is, as a client would write it: `entries[1].ttl`.
    fn field(&self) -> String {
        let own = match &self.kind {
            FaultKind::Unknown(name, _) => Some(name.as_str()),
            FaultKind::Missing(name) | FaultKind::Repeated(name) => Some(*name),
            FaultKind::Allowed(_) | FaultKind::Broken(_) | FaultKind::Other(_) => None,
        };
        let mut field = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Field(name) => push_name(&mut field, name),
                Step::Item(place) => field.push_str(&format!("[{place}]")),
            }
        }
        if let Some(name) = own {
            push_name(&mut field, name);
        }
        field
    }
}

fn push_name(field: &mut String, name: &str) {
    if !field.is_empty() {
        field.push('.');
    }
    field.push_str(name);
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Problem {
        let field = fault.field();
        let (detail, allowed) = match fault.kind {
            FaultKind::Broken(error) => return Problem::new(problems::INVALID_JSON).detail(error),
            FaultKind::Unknown(name, known) => {
                (format!("there is no field {name}"), (!known.is_empty()).then(|| one_of(known)))
            }
            FaultKind::Missing(name) => (
                format!("the field {name} is missing"),
                Some("any value that fits; it must be there".to_owned()),
            ),
            FaultKind::Repeated(name) => {
                (format!("the field {name} is there twice"), Some("one value".to_owned()))
            }
            FaultKind::Allowed(words) => (format!("the value is not {words}"), Some(words)),
            FaultKind::Other(message) => (message, None),
        };
        let mut problem = Problem::new(problems::INVALID_VALUE).detail(detail);
        if !field.is_empty() {
            problem = problem.with("field", field);
        }
        match allowed {
            Some(allowed) => problem.with("allowed", allowed),
            None => problem,
        }
    }
}

/// A choice in words.
fn one_of(names: &[&str]) -> String {
    match names {
        [one] => (*one).to_owned(),
        [one, other] => format!("{one} or {other}"),
        _ => format!("one of {}", names.join(", ")),
    }
}

impl Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?} at {}", self.kind, self.field())
    }
}

impl std::error::Error for Fault {}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Fault {
        Fault::new(FaultKind::Other(message.to_string()))
    }

    fn invalid_type(_unexpected: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::allowed(expected.to_string())
    }

    fn invalid_value(_unexpected: Unexpected<'_>, expected: &dyn Expected) -> Fault {
        Fault::allowed(expected.to_string())
    }

    fn invalid_length(_length: usize, expected: &dyn Expected) -> Fault {
        Fault::allowed(expected.to_string())
    }

    fn unknown_variant(_variant: &str, expected: &'static [&'static str]) -> Fault {
        Fault::allowed(one_of(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Fault {
        Fault::new(FaultKind::Unknown(field.to_owned(), expected))
    }

    fn missing_field(field: &'static str) -> Fault {
        Fault::new(FaultKind::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Fault {
        Fault::new(FaultKind::Repeated(field))
    }
}
