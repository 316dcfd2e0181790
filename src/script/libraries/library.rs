//! A library, and the functions that it has registered.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use crate::script::shebang::ShebangFlags;

/// A library as all threads share it; each compiles it for itself.
#[derive(Debug)]
pub(crate) struct Library {
    /// Its name.
    pub(crate) name: Box<[u8]>,
    /// The text as the client sent it.
    pub(crate) code: Box<[u8]>,
    /// Where the text of Lua begins, behind the first line.
    pub(crate) body: usize,
    /// Its functions by name.
    pub(crate) functions: Vec<Function>,
    /// It is in the table.
    is_known: AtomicBool,
}

/// A function of a library.
#[derive(Debug)]
pub(crate) struct Function {
    /// Its name as it was registered; clients may write it in letters of either case.
    pub(crate) name: Box<[u8]>,
    /// What it is for, if the library says so.
    pub(crate) description: Option<Box<[u8]>>,
    /// What it promises and wishes.
    pub(crate) flags: ShebangFlags,
    /// It has touched a key that was not declared, so it is started with the store alone.
    pub(crate) runs_alone: AtomicBool,
}

impl Function {
    /// A function as it was registered.
    pub(crate) fn new(name: &[u8], description: Option<&[u8]>, flags: ShebangFlags) -> Function {
        let runs_alone = AtomicBool::new(false);
        Function { name: name.into(), description: description.map(Into::into), flags, runs_alone }
    }
}

impl Library {
    /// A library that is in no table.
    pub(crate) fn new(name: &[u8], code: &[u8], body: usize, mut functions: Vec<Function>) -> Library {
        functions.sort_by(|one, other| one.name.cmp(&other.name));
        Library { name: name.into(), code: code.into(), body, functions, is_known: AtomicBool::new(false) }
    }

    /// The text of Lua.
    pub(crate) fn body(&self) -> &[u8] {
        &self.code[self.body..]
    }

    /// Whether its functions may still be called.
    pub(crate) fn is_known(&self) -> bool {
        self.is_known.load(Relaxed)
    }

    /// Says whether it is in the table.
    pub(super) fn set_known(&self, is_known: bool) {
        self.is_known.store(is_known, Relaxed);
    }
}
