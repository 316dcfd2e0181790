//! The way out for everything that is not the reply to a request: what operations leave to be done, and messages to the
//! subscribers of channels.  It knows no service.
//!
//! A message goes to those who are subscribed when it is published and is kept for nobody.  The messages of one channel
//! reach all its subscribers in one order.  A message is encoded once for each [`Encoding`] and shared by its receivers.
//! A receiver that reads too slowly is cut off; no other receiver and no publisher waits for it.

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
