//! Why a document cannot be read, with the texts of nats-server.

use crate::stream::api::error::{self, ApiError};

/// Why a document cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It is no JSON.
    Syntax(String),
    /// No member has this name.
    Unknown(String),
    /// A value is of another type than its member.
    Mismatch {
        /// The kind of the value, with its text if a number does not fit.
        found: String,
        /// The members and places in lists that lead to it, from the outside.
        path: Vec<String>,
        /// The type of the member, as Go names it.
        expected: &'static str,
        /// Whether the value is within a list.
        in_list: bool,
    },
    /// A value is not among those that are possible; the whole text.
    Impossible(String),
    /// This member asks for a feature that is not built.
    Unbuilt(String),
}

impl Problem {
    pub(super) fn mismatch(found: String, expected: &'static str) -> Problem {
        Problem::Mismatch { found, path: Vec::new(), expected, in_list: false }
    }

    /// The same problem seen from the object that has it in the member `name`.
    pub(super) fn within(mut self, name: &str) -> Problem {
        match &mut self {
            Problem::Mismatch { path, .. } => path.insert(0, name.to_owned()),
            Problem::Unbuilt(member) if member.is_empty() => name.clone_into(member),
            _ => {}
        }
        self
    }

    /// The same problem seen from the list that has it at `place`.
    pub(super) fn at(mut self, place: usize) -> Problem {
        if let Problem::Mismatch { path, in_list, .. } = &mut self {
            path.insert(0, place.to_string());
            *in_list = true;
        }
        self
    }

    /// What is wrong; `document` is the type of the whole document, as Go names it.
    pub fn text(&self, document: &str) -> String {
        match self {
            Problem::Syntax(text) | Problem::Impossible(text) => text.clone(),
            Problem::Unknown(name) => format!("json: unknown field {}", quoted(name)),
            Problem::Mismatch { found, path, expected, .. } if path.is_empty() => {
                format!("json: cannot unmarshal {found} into Go value of type {expected}")
            }
            Problem::Mismatch { found, path, expected, in_list } => {
                let what = if *in_list { "" } else { "Go struct field " };
                let path = path.join(".");
                format!("json: cannot unmarshal {found} into {what}{document}.{path} of type {expected}")
            }
            Problem::Unbuilt(member) => format!("this server does not support {}", quoted(member)),
        }
    }

    /// The error that a request with this document is answered with.
    pub fn refusal(&self, document: &str) -> ApiError {
        let text = self.text(document);
        match self {
            Problem::Unbuilt(_) => error::STREAM_INVALID_CONFIG.with(text),
            _ => error::INVALID_JSON.with(text),
        }
    }
}

/// The text in quotes, as Go's `%q` writes it where nothing but quotes and backslashes are special.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
