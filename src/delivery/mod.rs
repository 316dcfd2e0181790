//! The way out for everything that is not the reply to a request: what operations leave to be done, and the queues of
//! messages for clients.  It knows no service and no protocol.

mod effects;
mod outbox;

pub use effects::Effects;
pub use outbox::Outbox;
