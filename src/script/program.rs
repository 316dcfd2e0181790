//! What clients have run: a script, or a function of a library.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::engine::Compiled;
use super::libraries::{Function, Library};
use super::shebang::ShebangFlags;
use super::supervision::Kind;

/// The names of the texts of scripts and of libraries.
pub(super) const SCRIPT_SOURCE: &str = "@user_script";
pub(super) const FUNCTION_SOURCE: &str = "@user_function";

/// See the head of the file.
#[derive(Clone, Copy)]
pub(super) enum Program<'p> {
    /// A script.
    Script(&'p Compiled),
    /// A function.
    Function(&'p Arc<Library>, &'p Function),
}

impl<'p> Program<'p> {
    /// Which of them it is.
    pub(super) fn kind(self) -> Kind {
        match self {
            Program::Script(_) => Kind::Script,
            Program::Function(..) => Kind::Function,
        }
    }

    /// What messages call it by.
    pub(super) fn name(self) -> &'p [u8] {
        match self {
            Program::Script(compiled) => &compiled.script.id,
            Program::Function(_, function) => &function.name,
        }
    }

    /// The name of its text, in messages about places in it.
    pub(super) fn source(self) -> &'static str {
        match self {
            Program::Script(_) => SCRIPT_SOURCE,
            Program::Function(..) => FUNCTION_SOURCE,
        }
    }

    /// What it promises and wishes; none if it is a script that says nothing of it.
    pub(super) fn flags(self) -> Option<ShebangFlags> {
        match self {
            Program::Script(compiled) => compiled.script.flags,
            Program::Function(_, function) => Some(function.flags),
        }
    }

    /// Whether it is started with the store alone, because it has touched a key that was not declared.
    pub(super) fn runs_alone(self) -> &'p AtomicBool {
        match self {
            Program::Script(compiled) => &compiled.script.runs_alone,
            Program::Function(_, function) => &function.runs_alone,
        }
    }

    /// Notes that it is used.
    pub(super) fn touch(self, now: u64) {
        if let Program::Script(compiled) = self {
            compiled.script.touch(now);
        }
    }
}
