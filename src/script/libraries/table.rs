//! The libraries at one time, and which of them fit together.

use std::collections::BTreeMap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::header::about;
use super::{Function, Library};
use crate::refusal::Refusal;

/// The most libraries: each takes a place in every thread's Lua.
pub(crate) const LIBRARIES_MAX: usize = 1000;

/// The most functions of all libraries together.
pub(crate) const FUNCTIONS_MAX: usize = 20_000;

/// The longest text of a library, which has to fit into one record of the journal.
pub(crate) const CODE_MAX: usize = 16 << 20;

/// The longest name of a function.
pub(crate) const NAME_MAX: usize = 1024;

/// The longest description of a function.
pub(crate) const DESCRIPTION_MAX: usize = 4096;

/// The longest names and descriptions of one library together; with its text they have to fit into one record of the journal.
pub(crate) const TEXTS_MAX: usize = 16 << 20;

/// The longest texts of all libraries together.
pub(crate) const ALL_CODE_MAX: usize = 64 << 20;

/// See the head of the file.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    libraries: BTreeMap<Box<[u8]>, Arc<Library>>,
    /// The functions by their names in lower case, each with its place in its library.
    functions: HashMap<Box<[u8]>, (Arc<Library>, usize)>,
}

/// How libraries are put among others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Joining {
    /// None of them may be there.
    Append,
    /// They take the places of those that have their names.
    Replace,
    /// All others go.
    Flush,
}

/// What a client wants to do to the table.
pub(crate) enum Change<'c> {
    /// To add a library; `replaces` says that it may be there.
    Load {
        /// The library.
        library: Arc<Library>,
        /// It may take the place of the one that has its name.
        replaces: bool,
    },
    /// To add the libraries of a payload, which have different names.
    Restore {
        /// The libraries.
        libraries: Vec<Arc<Library>>,
        /// What becomes of the others.
        joining: Joining,
    },
    /// To remove the library of this name.
    Delete(&'c [u8]),
    /// To remove all of them.
    Flush,
}

impl Table {
    /// All libraries, by name.
    pub(crate) fn libraries(&self) -> impl ExactSizeIterator<Item = &Arc<Library>> {
        self.libraries.values()
    }

    /// The library of this name.
    pub(crate) fn library(&self, name: &[u8]) -> Option<&Arc<Library>> {
        self.libraries.get(name)
    }

    /// The library and the function of this name, in letters of either case.
    pub(crate) fn function(&self, name: &[u8]) -> Option<(&Arc<Library>, &Function)> {
        let (library, place) = match self.functions.get(name) {
            Some(found) => found,
            None => self.functions.get(name.to_ascii_lowercase().as_slice())?,
        };
        Some((library, &library.functions[*place]))
    }

    /// How many functions there are.
    pub(crate) fn function_count(&self) -> usize {
        self.libraries().map(|library| library.functions.len()).sum()
    }

    /// Bytes of the texts of all libraries.
    pub(crate) fn code_bytes(&self) -> usize {
        self.libraries().map(|library| library.code.len()).sum()
    }

    /// The table after a change.
    ///
    /// # Errors
    /// If the change may not be made, in Redis' words.
    pub(crate) fn after(&self, change: &Change<'_>) -> Result<Table, Refusal> {
        let mut table = self.clone();
        match change {
            Change::Load { library, replaces } => {
                if !replaces {
                    table.require_new(library, "ERR Library '", "' already exists")?;
                }
                table.put(library)?;
            }
            Change::Restore { libraries, joining } => {
                match joining {
                    Joining::Flush => table = Table::default(),
                    Joining::Append => {
                        for library in libraries {
                            table.require_new(library, "ERR Library ", " already exists")?;
                        }
                    }
                    // All of them go first: a function may move from one to another.
                    Joining::Replace => libraries.iter().for_each(|library| table.take(&library.name)),
                }
                libraries.iter().try_for_each(|library| table.put(library))?;
            }
            Change::Delete(name) => {
                if table.library(name).is_none() {
                    return Err(Refusal::new("ERR Library not found"));
                }
                table.take(name);
            }
            Change::Flush => table = Table::default(),
        }
        table.check_sizes()?;
        Ok(table)
    }

    /// Adds a library to those of one payload, which have to fit together.
    ///
    /// # Errors
    /// If it does not fit, in Redis' words.
    pub(crate) fn join(&mut self, library: &Arc<Library>) -> Result<(), Refusal> {
        self.require_new(library, "ERR Library '", "' already exists")?;
        self.put(library)?;
        self.check_sizes()
    }

    fn require_new(&self, library: &Library, before: &str, after: &str) -> Result<(), Refusal> {
        if self.libraries.contains_key(&library.name) {
            Err(about(before, &library.name, after))
        } else {
            Ok(())
        }
    }

    /// Adds a library, in place of the one that has its name.
    pub(super) fn put(&mut self, library: &Arc<Library>) -> Result<(), Refusal> {
        self.take(&library.name);
        for (place, function) in library.functions.iter().enumerate() {
            let name = function.name.to_ascii_lowercase();
            match self.functions.get(name.as_slice()) {
                None => {
                    self.functions.insert(name.into(), (Arc::clone(library), place));
                }
                // Names of one library may differ in their case only; the first of them is called.
                Some((of, _)) if Arc::ptr_eq(of, library) => (),
                Some(_) => return Err(about("ERR Function ", &function.name, " already exists")),
            }
        }
        self.libraries.insert(library.name.clone(), Arc::clone(library));
        Ok(())
    }

    /// Adds a library that a record tells of.  Functions of others that have the names of its own are there until a later
    /// record tells of those: parts of a snapshot may have different ages.
    pub(super) fn put_again(&mut self, library: &Arc<Library>) {
        self.take(&library.name);
        for (place, function) in library.functions.iter().enumerate().rev() {
            self.functions.insert(function.name.to_ascii_lowercase().into(), (Arc::clone(library), place));
        }
        self.libraries.insert(library.name.clone(), Arc::clone(library));
    }

    pub(super) fn take(&mut self, name: &[u8]) {
        let Some(library) = self.libraries.remove(name) else { return };
        for function in &library.functions {
            let name = function.name.to_ascii_lowercase();
            // A record may have given the name to another library meanwhile.
            if self.functions.get(name.as_slice()).is_some_and(|(of, _)| Arc::ptr_eq(of, &library)) {
                self.functions.remove(name.as_slice());
            }
        }
    }

    fn check_sizes(&self) -> Result<(), Refusal> {
        let refused = |what: String| Err(Refusal::new(format!("ERR {what}: delete some libraries first")));
        if self.libraries.len() > LIBRARIES_MAX {
            return refused(format!("there may be at most {LIBRARIES_MAX} libraries"));
        }
        if self.function_count() > FUNCTIONS_MAX {
            return refused(format!("all libraries may have at most {FUNCTIONS_MAX} functions"));
        }
        if self.code_bytes() > ALL_CODE_MAX {
            return refused(format!("all libraries may have at most {ALL_CODE_MAX} bytes"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::shebang::ShebangFlags;

    fn library(name: &str, functions: &[&str]) -> Arc<Library> {
        let functions = functions
            .iter()
            .map(|name| Function::new(name.as_bytes(), None, ShebangFlags::empty()))
            .collect();
        Arc::new(Library::new(name.as_bytes(), b"", 0, functions))
    }

    fn table(libraries: &[Arc<Library>]) -> Table {
        let mut table = Table::default();
        libraries.iter().for_each(|library| table.put(library).expect("they fit together"));
        table
    }

    fn restored(table: &Table, libraries: &[Arc<Library>], joining: Joining) -> Result<Table, String> {
        let after = table.after(&Change::Restore { libraries: libraries.to_vec(), joining });
        after.map_err(|refusal| String::from_utf8_lossy(refusal.text()).into_owned())
    }

    fn names(table: &Table) -> Vec<String> {
        table.libraries().map(|library| String::from_utf8_lossy(&library.name).into_owned()).collect()
    }

    #[test]
    fn names_in_letters_of_either_case_are_one() {
        let table = table(&[library("one", &["Get", "a", "A"])]);
        let found = |name: &str| table.function(name.as_bytes()).map(|(_, function)| &*function.name);
        assert_eq!(found("get"), Some(&b"Get"[..]));
        assert_eq!(found("GET"), Some(&b"Get"[..]));
        assert_eq!(found("a"), Some(&b"A"[..]), "the first by name");
        assert_eq!(found("b"), None);
        assert_eq!(table.function_count(), 3);
    }

    #[test]
    fn payloads_join_as_they_are_told() {
        let before = table(&[library("one", &["f"]), library("two", &["g"])]);
        let news = [library("two", &["h"]), library("three", &["g"])];
        assert_eq!(
            restored(&before, &news, Joining::Append).map(|_| ()),
            Err("ERR Library two already exists".to_owned())
        );
        let replaced = restored(&before, &news, Joining::Replace).expect("g has moved to another library");
        assert_eq!(names(&replaced), ["one", "three", "two"]);
        assert_eq!(
            names(&restored(&before, &news, Joining::Flush).expect("they fit together")),
            ["three", "two"]
        );
        let clash = [library("three", &["F"])];
        for joining in [Joining::Append, Joining::Replace] {
            assert_eq!(
                restored(&before, &clash, joining).map(|_| ()),
                Err("ERR Function F already exists".to_owned())
            );
        }
    }

    #[test]
    fn there_are_at_most_so_many() {
        let full: Vec<_> = (0..LIBRARIES_MAX).map(|number| library(&format!("l{number}"), &[])).collect();
        let table = table(&full);
        let load = |name| table.after(&Change::Load { library: library(name, &[]), replaces: true });
        assert!(load("l7").is_ok());
        assert!(load("another").is_err());
        let names: Vec<String> = (0..=FUNCTIONS_MAX).map(|number| format!("f{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let many = |names: &[&str]| {
            Table::default().after(&Change::Load { library: library("many", names), replaces: false })
        };
        assert!(many(&names[1..]).is_ok());
        assert!(many(&names).is_err());
    }
}
