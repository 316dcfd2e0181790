//! MONITOR: shows the client every command that is run.

use super::CONNECTION;
use crate::client::ClientFlags;
use crate::command::{Command, Flags, Group, Handler, SessionCall};
use crate::refusal::Refusal;

/// The row.
pub(super) const MONITOR: Command = Command {
    name: "monitor",
    summary: "Listens for all requests received by the server in real-time.",
    complexity: "",
    group: Group::Server,
    flags: CONNECTION.union(Flags::ADMIN).union(Flags::DANGEROUS),
    handler: Handler::Session(monitor),
    ..Command::ROW
};

/// A second MONITOR is answered too, unlike in Redis: every command has one reply.
fn monitor(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    if !call.may_wait() {
        return Err(Refusal::new("ERR MONITOR isn't allowed for DENY BLOCKING client"));
    }
    let (shared, resp) = (&call.client.shared, call.client.resp());
    if !resp.flags().contains(ClientFlags::MONITOR) {
        resp.set_flag(ClientFlags::MONITOR, true);
        call.services.monitors.add(&shared.outbox);
    }
    call.output.ok();
    Ok(())
}

/// Ends MONITOR for the client.
pub(super) fn stop(call: &mut SessionCall<'_, '_>) {
    if call.client.resp().flags().contains(ClientFlags::MONITOR) {
        call.client.resp().set_flag(ClientFlags::MONITOR, false);
        call.services.monitors.remove(&call.client.shared.outbox);
    }
}
