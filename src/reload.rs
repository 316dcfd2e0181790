//! Sources that are read again while the server runs: the policies whenever their file changes, and all settings on
//! SIGHUP.

use crate::command::Services;
use crate::policy_file::PolicyFile;
use crate::settings::{self, Settings, Stop};

/// See the module's text.
pub struct Reload {
    /// The settings as the sources gave them last.  CONFIG SET may have changed them since.
    read: Settings,
    policies: Option<PolicyFile>,
}

impl Reload {
    /// The server has started with the settings in `read`.
    pub fn new(read: Settings, policies: Option<PolicyFile>) -> Reload {
        Reload { read, policies }
    }

    /// Reads the file of policies again if it has changed.
    pub fn follow(&mut self, services: &Services) {
        if let Some(file) = &mut self.policies {
            file.follow(&services.limits.policies);
        }
    }

    /// Reads everything again.  A source that is no longer valid is reported in the log and changes nothing.
    pub fn run(&mut self, services: &Services) {
        tracing::info!("reading the settings again");
        match settings::of_process() {
            Ok(loaded) => {
                loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                self.apply(loaded.settings, services);
            }
            Err(Stop::Invalid(reason)) => tracing::error!(reason, "settings stay as they were"),
            Err(Stop::Help(_) | Stop::Version(_)) => {}
        }
        if let Some(file) = &mut self.policies {
            file.read_again(&services.limits.policies);
        }
    }

    fn apply(&mut self, read: Settings, services: &Services) {
        match services.settings.change(&self.read, &read) {
            Ok(changes) => {
                if !changes.made.is_empty() {
                    tracing::info!(settings = changes.made.join(" "), "changed");
                    services.follow_settings();
                }
                if !changes.at_start.is_empty() {
                    let settings = changes.at_start.join(" ");
                    tracing::warn!(settings, "these have changed too, but only a new start can change them");
                }
                self.read = read;
            }
            Err(reason) => tracing::error!(reason, "settings stay as they were"),
        }
    }
}
