//! A circle of owners that wait for one another.

use std::fmt;

use super::limits::SHOWN_LENGTH_MAX;

/// A circle of owners, each of which waits for the next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Deadlock {
    /// When it was found, in microseconds of the server's clock.
    pub at: u64,
    /// The owners, beginning with the one that was refused, and what each waits for.
    pub steps: Vec<Step>,
}

/// An owner, and the resource that the next owner keeps from it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The waiting owner.
    pub owner: Vec<u8>,
    /// The resource.
    pub resource: Vec<u8>,
}

/// `owner > resource > owner > resource > owner`: how errors and notices name it.
impl fmt::Display for Deadlock {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            write!(formatter, "{} > {} > ", shown(&step.owner), shown(&step.resource))?;
        }
        formatter.write_str(&self.steps.first().map(|step| shown(&step.owner)).unwrap_or_default())
    }
}

/// A name as a line of text, cut to a bounded length.
fn shown(name: &[u8]) -> String {
    name[..name.len().min(SHOWN_LENGTH_MAX)].escape_ascii().to_string()
}
