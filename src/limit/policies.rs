//! All policies by name.  Checks read them without a lock; a change replaces the whole table.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::algorithm::{InvalidParameter, Parameters};
use super::definition::{Definition, LimitDefinition};
use super::operation::LimitError;
use super::persistence::{Persistence, Record};
use super::policy::Policy;
use super::statistics::Statistics;
use crate::lock_order::{Mutex, rank};

/// The most policies there can be.
pub const POLICIES_MAX: usize = 10_000;

/// The policy of requests without a name.
pub const DEFAULT_POLICY: &str = "default";

/// The policies at one time.
pub type Table = HashMap<Box<[u8]>, Arc<Policy>, foldhash::fast::RandomState>;

/// See the head of the file.
pub struct Policies {
    table: ArcSwap<Table>,
    /// The names of the policies that clients have set or removed, which are written down.  Held while the table is
    /// replaced.
    stated: Mutex<BTreeSet<String>, { rank::LIMIT_POLICIES }>,
    persistence: Arc<Persistence>,
    threads: usize,
}

impl Policies {
    /// The policies of a new server, for so many threads; `persistence` keeps the changes of clients.
    pub(super) fn new(threads: usize, persistence: Arc<Persistence>) -> Policies {
        let policies = Policies { table: ArcSwap::default(), stated: Mutex::default(), persistence, threads };
        let mut table = Table::default();
        policies.put(&mut table, fresh()).expect("a test makes the default policy");
        policies.table.store(Arc::new(table));
        policies
    }

    /// The policies as they are now.
    pub fn load(&self) -> Guard<Arc<Table>> {
        self.table.load()
    }

    /// The same as a reference that the caller may keep for longer than a step.
    pub fn load_full(&self) -> Arc<Table> {
        self.table.load_full()
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

    /// Makes or replaces a policy for a client.  Its statistics go on, and so do its counters where the algorithm stays the
    /// same.
    ///
    /// # Errors
    /// If a value is not allowed.
    pub fn set(&self, name: &str, definition: Definition) -> Result<(), InvalidParameter> {
        self.set_all(BTreeMap::from([(name.to_owned(), definition)]))
    }

    /// Makes or replaces several policies for a client, all of them or none.
    ///
    /// # Errors
    /// If a value is not allowed.
    pub fn set_all(&self, definitions: BTreeMap<String, Definition>) -> Result<(), InvalidParameter> {
        let stated = &mut *self.stated.lock();
        let mut table = Table::clone(&self.load());
        let names: Vec<String> = definitions.keys().cloned().collect();
        self.put(&mut table, definitions)?;
        check_count(&table)?;
        let kept: Vec<Arc<Policy>> = names.iter().map(|name| Arc::clone(&table[name.as_bytes()])).collect();
        self.table.store(Arc::new(table));
        stated.extend(names);
        let definitions: Vec<Vec<u8>> = kept.iter().map(|policy| policy.definition().to_json()).collect();
        let records = kept.iter().zip(&definitions);
        self.persistence
            .write(records.map(|(policy, definition)| Record::Policy { name: policy.name(), definition }));
        Ok(())
    }

    /// Removes a policy for a client; false if there is none of that name.  Its counters expire by themselves.
    pub fn remove(&self, name: &[u8]) -> bool {
        self.remove_all([name]) > 0
    }

    /// Removes policies for a client, and returns how many there were.
    pub fn remove_all<'n>(&self, names: impl IntoIterator<Item = &'n [u8]>) -> usize {
        let stated = &mut *self.stated.lock();
        let mut table = Table::clone(&self.load());
        let gone: Vec<Arc<Policy>> = names.into_iter().filter_map(|name| table.remove(name)).collect();
        if gone.is_empty() {
            return 0;
        }
        self.table.store(Arc::new(table));
        for policy in &gone {
            if policy.name() == DEFAULT_POLICY {
                stated.insert(DEFAULT_POLICY.to_owned());
            } else {
                stated.remove(policy.name());
            }
        }
        self.persistence.write(gone.iter().map(|policy| Record::Forgotten { name: policy.name() }));
        gone.len()
    }

    /// Makes the policies of a file hold, before those of clients with the same names.  Policies that the file had `before`
    /// and has no more are removed, or are again those of a new server, unless a client has set them since.  All of this
    /// happens at once, or nothing does.
    ///
    /// # Errors
    /// If a value is not allowed.
    pub fn follow_file(
        &self,
        definitions: BTreeMap<String, Definition>,
        before: &BTreeSet<String>,
    ) -> Result<(), InvalidParameter> {
        let stated = &mut *self.stated.lock();
        let mut table = Table::clone(&self.load());
        for name in before.iter().filter(|name| !definitions.contains_key(*name) && !stated.contains(*name)) {
            if name == DEFAULT_POLICY {
                self.put(&mut table, fresh())?;
            } else {
                table.remove(name.as_bytes());
            }
        }
        let voided: Vec<String> = definitions.keys().filter(|name| stated.contains(*name)).cloned().collect();
        self.put(&mut table, definitions)?;
        check_count(&table)?;
        self.table.store(Arc::new(table));
        stated.retain(|name| !voided.contains(name));
        self.persistence.write(voided.iter().map(|name| Record::Voided { name }));
        Ok(())
    }

    /// Restores the policies of an earlier server's clients: for each name its definition, or none if it was removed.
    /// Returns the policies that are no longer allowed, which are left out.
    pub fn restore(&self, said: BTreeMap<String, Option<Definition>>) -> Vec<(String, InvalidParameter)> {
        let mut refused = Vec::new();
        let stated = &mut *self.stated.lock();
        let mut table = Table::clone(&self.load());
        for (name, definition) in said {
            match definition {
                Some(definition) => {
                    if let Err(error) = self.put(&mut table, BTreeMap::from([(name.clone(), definition)])) {
                        refused.push((name, error));
                        continue;
                    }
                }
                None if name == DEFAULT_POLICY => drop(table.remove(name.as_bytes())),
                None => continue,
            }
            stated.insert(name);
        }
        self.table.store(Arc::new(table));
        refused
    }

    /// Gives `write` the policies that clients have set or removed, as records, while they are locked.
    pub fn each_record(&self, mut write: impl FnMut(Record<'_>)) {
        let stated = self.stated.lock();
        let table = self.load();
        for name in stated.iter() {
            match table.get(name.as_bytes()) {
                Some(policy) => write(Record::Policy { name, definition: &policy.definition().to_json() }),
                None => write(Record::Forgotten { name }),
            }
        }
    }

    fn put(
        &self,
        table: &mut Table,
        definitions: BTreeMap<String, Definition>,
    ) -> Result<(), InvalidParameter> {
        for (name, definition) in definitions {
            let old = table.get(name.as_bytes()).map(|policy| Arc::clone(&policy.statistics));
            let statistics = old.unwrap_or_else(|| Arc::new(Statistics::new(self.threads)));
            let policy = Policy::new(&name, definition, statistics)?;
            table.insert(name.as_bytes().into(), Arc::new(policy));
        }
        Ok(())
    }
}

/// The policy of this name.
///
/// # Errors
/// If there is none.
pub fn find<'t>(table: &'t Table, name: &[u8]) -> Result<&'t Arc<Policy>, LimitError> {
    table.get(name).ok_or_else(|| LimitError::NoSuchPolicy(name.into()))
}

fn check_count(table: &Table) -> Result<(), InvalidParameter> {
    if table.len() <= POLICIES_MAX {
        return Ok(());
    }
    let (value, allowed) = (table.len().to_string(), format!("at most {POLICIES_MAX}"));
    Err(InvalidParameter { parameter: "the number of policies", value, allowed })
}

/// The policies of a new server: 100 a minute for each key, also all at once.
fn fresh() -> BTreeMap<String, Definition> {
    let parameters = Parameters { limit: 100, period_millis: 60_000, burst: None, on_change: None };
    let definition =
        Definition { limits: vec![LimitDefinition::new("gcra", parameters)], ..Definition::default() };
    BTreeMap::from([(DEFAULT_POLICY.to_owned(), definition)])
}
