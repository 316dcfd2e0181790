//! All policies by name: read on every check without a lock, replaced as a whole when one changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::algorithm::{InvalidParameter, Parameters};
use super::definition::{Definition, LimitDefinition};
use super::policy::Policy;
use super::statistics::Statistics;
use crate::lock_order::{Mutex, rank};

/// The most policies there can be.
pub const POLICIES_MAX: usize = 10_000;

/// The policy of requests that name none.
pub const DEFAULT_POLICY: &str = "default";

/// The policies of one moment.
pub type Table = HashMap<Box<[u8]>, Arc<Policy>, foldhash::fast::RandomState>;

/// See the head of the file.
pub struct Policies {
    table: ArcSwap<Table>,
    /// Held while the table is replaced.
    change: Mutex<(), { rank::LIMIT_POLICIES }>,
    threads: usize,
}

impl Policies {
    /// Only the default policy, for so many threads.
    pub(super) fn new(threads: usize) -> Policies {
        let policies =
            Policies { table: ArcSwap::from_pointee(Table::default()), change: Mutex::new(()), threads };
        policies.reset_default();
        policies
    }

    /// The policies as they are now; those of a later moment are other ones.
    pub fn load(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// The policy of this name.
    pub fn get(&self, name: &[u8]) -> Option<Arc<Policy>> {
        self.load().get(name).cloned()
    }

    /// All policies, by name.
    pub fn list(&self) -> Vec<Arc<Policy>> {
        let mut all: Vec<Arc<Policy>> = self.load().values().cloned().collect();
        all.sort_by(|one, other| one.name().cmp(other.name()));
        all
    }

    /// Makes or replaces a policy.  Its counters go on where the algorithm stays the same, and so do its statistics.
    ///
    /// # Errors
    /// Which value is not allowed, and what is.
    pub fn set(&self, name: &str, definition: Definition) -> Result<(), InvalidParameter> {
        self.set_all(BTreeMap::from([(name.to_owned(), definition)]))
    }

    /// Makes or replaces several policies, all of them or none.
    ///
    /// # Errors
    /// Which value is not allowed, and what is.
    pub fn set_all(&self, definitions: BTreeMap<String, Definition>) -> Result<(), InvalidParameter> {
        self.change(definitions, POLICIES_MAX)
    }

    /// Makes a policy that an earlier server had.  It was one of no more than were allowed, though others may have to go
    /// yet that were there before it.
    ///
    /// # Errors
    /// Which value is not allowed, and what is.
    pub fn restore(&self, name: &str, definition: Definition) -> Result<(), InvalidParameter> {
        self.change(BTreeMap::from([(name.to_owned(), definition)]), usize::MAX)
    }

    /// Makes the default policy what it is on a fresh server.
    pub fn reset_default(&self) {
        self.set(DEFAULT_POLICY, default_definition()).expect("a test makes the default policy");
    }

    fn change(&self, definitions: BTreeMap<String, Definition>, most: usize) -> Result<(), InvalidParameter> {
        let _change = self.change.lock();
        let mut table = Table::clone(&self.table.load());
        for (name, definition) in definitions {
            let old = table.get(name.as_bytes()).map(|policy| Arc::clone(&policy.statistics));
            let statistics = old.unwrap_or_else(|| Arc::new(Statistics::new(self.threads)));
            let policy = Policy::new(&name, definition, statistics)?;
            table.insert(name.as_bytes().into(), Arc::new(policy));
        }
        if table.len() > most {
            let (value, allowed) = (table.len().to_string(), format!("at most {most}"));
            return Err(InvalidParameter { parameter: "the number of policies", value, allowed });
        }
        self.table.store(Arc::new(table));
        Ok(())
    }

    /// Forgets a policy; false if there is none of that name.  Its counters expire by themselves.
    pub fn remove(&self, name: &[u8]) -> bool {
        let _change = self.change.lock();
        let mut table = Table::clone(&self.table.load());
        let removed = table.remove(name).is_some();
        self.table.store(Arc::new(table));
        removed
    }
}

/// What a fresh server allows each key: 100 a minute, all of them at once if need be.
fn default_definition() -> Definition {
    let parameters = Parameters { limit: 100, period_millis: 60_000, burst: None, on_change: None };
    Definition { limits: vec![LimitDefinition::new("gcra", parameters)], ..Definition::default() }
}
