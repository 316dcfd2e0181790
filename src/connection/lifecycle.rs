//! RESET and QUIT: a connection as it was at its start, and its end.

use quartet_protocol::resp::Version;

use super::{hello, identity, monitor};
use crate::client::ClientFlags;
use crate::command::{Flow, Replies, SessionCall};
use crate::refusal::Refusal;

/// QUIT.
pub(super) fn quit(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    call.output.ok();
    call.continuation.flow = Flow::Close;
    Ok(())
}

/// RESET.  The name and version of the client's library stay: it is still the same library.
pub(super) fn reset(call: &mut SessionCall<'_, '_>) -> Result<(), Refusal> {
    call.client.forget_transaction(call.data.keyspace, &call.data.services.key_waiters);
    call.client.forget_subscriptions(&call.data.services.fan_out, call.data.effects);
    monitor::stop(call);
    // Earlier messages must not follow the reply: the client reads plain replies from there on.
    call.data.effects.take_messages(&call.client.shared.outbox, call.data.output);
    call.client.authenticated = !call.settings.has_password();
    call.client.replies = Replies::On;
    call.caller.leaves_traces = true;
    call.client.resp().set_flag(ClientFlags::NO_TOUCH | ClientFlags::NO_EVICT, false);
    if call.client.shared.is_identified() {
        identity::set_name(call, "");
    }
    call.caller.database = 0;
    hello::speak(call, Version::Resp2);
    call.output.simple("RESET");
    Ok(())
}
