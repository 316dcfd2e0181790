//! Servers that are killed while operators set policies and lists: after the next start all that was acknowledged is there,
//! every command is there whole or not at all, and none without those before it.

use std::collections::BTreeSet;
use std::env;

use quartet::random::Random;

use crate::support::client::Client;
use crate::support::process::{Folder, Server};

/// Servers that are killed, and the commands that each is sent.
const ROUNDS: usize = 6;
const LONG_ROUNDS: usize = 200;
const COMMANDS: usize = 80;

/// Names of policies and of patterns.
const NAMES: usize = 12;

/// The settings of operators.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Settings {
    policies: BTreeSet<String>,
    denied: BTreeSet<String>,
}

impl Settings {
    fn fresh() -> Settings {
        Settings { policies: BTreeSet::from(["default".to_owned()]), denied: BTreeSet::new() }
    }

    /// A command at random, done.
    fn change(&mut self, random: &mut Random) -> String {
        let name = |random: &mut Random| format!("n{}", random.below(NAMES));
        match random.below(5) {
            0 | 1 => {
                let name = name(random);
                self.policies.insert(name.clone());
                format!("RL.POLICY SET {name} ALGO fixed LIMIT 1 PERIOD 1000")
            }
            2 => {
                let names: BTreeSet<String> = (0..4).map(|_| name(random)).collect();
                self.policies.retain(|other| !names.contains(other));
                format!("RL.POLICY DEL {}", names.into_iter().collect::<Vec<_>>().join(" "))
            }
            3 => {
                let name = name(random);
                self.denied.insert(name.clone());
                format!("RL.DENY ADD {name}")
            }
            _ => {
                let name = name(random);
                self.denied.remove(&name);
                format!("RL.DENY DEL {name}")
            }
        }
    }

    fn of(server: &Server) -> Settings {
        let mut client = Client::connect(server.address());
        let mut list = |command: &str| -> BTreeSet<String> {
            let listed = client.ask(command);
            let names = listed.trim_matches(['[', ']']).split(", ");
            names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        Settings { policies: list("RL.POLICY LIST"), denied: list("RL.DENY LIST") }
    }
}

#[test]
fn acknowledged_changes_outlive_a_server_killed_at_any_time() {
    let rounds = if env::var_os("QUARTET_LONG").is_some() { LONG_ROUNDS } else { ROUNDS };
    let folder = Folder::new();
    let data = folder.path().join("data").display().to_string();
    let mut settings = Settings::fresh();
    for round in 0..rounds {
        let mut random = Random::with_seed(round as u64);
        let server = Server::quartet(&["--dir", &data]);
        assert_eq!(Settings::of(&server), settings, "round {round}");
        let mut states = vec![settings.clone()];
        let mut client = Client::connect(server.address());
        for _ in 0..COMMANDS {
            let command = settings.change(&mut random);
            states.push(settings.clone());
            client.write(format!("{command}\r\n").as_bytes());
        }
        let told = random.below(COMMANDS);
        for _ in 0..told {
            let reply = client.read_text().expect("it is answered");
            assert!(!reply.starts_with('-'), "{reply}");
        }
        // Dropped, it is killed.
        drop(server);
        settings = Settings::of(&Server::quartet(&["--dir", &data]));
        assert!(states[told..].contains(&settings), "round {round}, {told} were told: {settings:?}");
    }
}
