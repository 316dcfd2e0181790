//! Everything that leaves a service beside the replies to requests: the effects of operations, and messages to the
//! subscribers of channels.  It knows no service.
//!
//! A message goes to the subscribers at the time of publishing and is not kept.  The messages of one channel reach all its
//! subscribers in one order.  A message is encoded once for each [`Encoding`] and shared by its receivers.
//! A receiver that reads too slowly is cut off, so that neither other receivers nor publishers wait for it.

mod effects;
mod encoding;
mod fan_out;
mod outbox;
mod router;
mod stream;
mod subscriptions;

pub use effects::Effects;
pub use encoding::{Encoding, server_sent_event};
pub use fan_out::{ChannelSpace, FanOut, Message, Receivers};
pub use outbox::Outbox;
pub use router::{Name, Router, Subscriber};
pub use stream::Stream;
pub use subscriptions::Subscriptions;
