//! What is shipped beside the program: the image, units, manifests, dashboards and alerts.
//!
//! No container engine, no cluster and no Grafana runs where these tests run.  So what was proven how:
//!
//! | what | proven by |
//! |---|---|
//! | `Dockerfile` | hadolint; and, with `QUARTET_LONG=1` as root, its steps run in a clean Debian made with debootstrap, with the compiler of this machine in place of the `rust` image (`image`).  The server is started as the image does, as its user and with a root that cannot be written (`confined`).  The bases were never pulled here; public projects pull these tags, some of them by digest. |
//! | `compose.yaml` | a parser that knows the specification (`compose-spec`); its environment given to a server in a network namespace of its own, which is asked through its ports from another one (`published`) |
//! | the unit of systemd | `systemd-analyze verify` and `security`; its command is started without rights and with a root that cannot be written (`confined`).  systemd itself never started it, so its filter of system calls is untried. |
//! | the release script | its archive, packed with the program of the tests in place of an optimised one (`release`) |
//! | the manifest of Kubernetes | the schemas of Kubernetes (`kubernetes-validate`) |
//! | Prometheus' configuration, alerts | `promtool`; the configuration as shipped scrapes a server with a password |
//! | every expression of dashboards and alerts | a real Prometheus that has scraped a loaded server: none is invalid or empty (`dashboards`) |
//! | that alerts fire, and only where they should | `promtool test rules` (`alerts_test.yml`) |
//! | dashboards | read and written by the types of Grafana's own schema without loss (`grafana-foundation-sdk`); none was drawn: no registry that we may use has Grafana, neither Debian 12 nor PyPI nor npm (and it is under the AGPL) |

mod confined;
mod dashboards;
mod files;
mod image;
mod published;
mod release;

use std::fs;
use std::path::{Path, PathBuf};

/// A path of the repository.
fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A file of the repository.
fn read(name: &str) -> String {
    fs::read_to_string(path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}
