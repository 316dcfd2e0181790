//! Policies in the file of settings: read at start, and again whenever the file changes.
//!
//! They are tables `[limits.NAME]` with the fields of a policy over HTTP.  A file that is no longer valid is reported in the
//! log and changes nothing.  Policies that vanish from the file are forgotten, also if that happens while no server runs.
//! Policies of clients are not touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::Deserialize;

use crate::limit::definition::Definition;
use crate::limit::policies::Policies;

/// A file of settings, as far as it has policies.
pub struct PolicyFile {
    path: PathBuf,
    /// The time of its last change and its length, when it was last read.
    seen: Option<(SystemTime, u64)>,
    /// The policies that it has.
    names: BTreeSet<String>,
}

/// The part of the file that is read here.  The rest are settings.
#[derive(Deserialize)]
struct Contents {
    #[serde(default)]
    limits: BTreeMap<String, Definition>,
}

impl PolicyFile {
    /// The file at `path`, not read yet.
    pub fn new(path: PathBuf) -> PolicyFile {
        PolicyFile { path, seen: None, names: BTreeSet::new() }
    }

    /// Reads the file and sets its policies.
    ///
    /// # Errors
    /// If it cannot be read or a policy is not valid.  The text names the policy and the valid values.
    pub fn load(&mut self, policies: &Policies) -> Result<(), String> {
        self.seen = self.look();
        let name = self.path.display();
        let text = fs::read_to_string(&self.path)
            .map_err(|error| format!("file {name}: cannot be read: {error}"))?;
        let contents: Contents = toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = 1 + text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count();
            format!("file {name}, line {line}: {}", error.message())
        })?;
        let names: BTreeSet<String> = contents.limits.keys().cloned().collect();
        let followed = policies.follow_file(contents.limits, &self.names);
        followed.map_err(|error| format!("file {name}: limits: {error}"))?;
        self.names = names;
        Ok(())
    }

    /// Reads the file again if it has changed since it was last read.
    pub fn follow(&mut self, policies: &Policies) {
        let seen = self.look();
        if seen.is_none() || seen == self.seen {
            return;
        }
        self.read_again(policies);
    }

    /// Reads the file again, changed or not.
    pub fn read_again(&mut self, policies: &Policies) {
        match self.load(policies) {
            Ok(()) => {
                tracing::info!(file = %self.path.display(), policies = self.names.len(), "read policies again")
            }
            Err(error) => tracing::error!(%error, "policies stay as they were"),
        }
    }

    fn look(&self) -> Option<(SystemTime, u64)> {
        let metadata = fs::metadata(&self.path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    }
}
