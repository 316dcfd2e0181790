//! What the suites share; no test of the server lives here.

pub(crate) mod client;
pub(crate) mod peers;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod traces;
