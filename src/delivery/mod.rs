//! Everything that leaves a service beside the replies to requests: the effects of operations, and messages to the
//! subscribers of channels.  It knows no service.
//!
//! A message goes to the subscribers at the time of publishing and is not kept.  The messages of one channel reach all its
//! subscribers in one order.  A message is encoded once for each [`Encoding`] and shared by its receivers.
//! A receiver that reads too slowly is cut off, so that neither other receivers nor publishers wait for it.

mod effects;
mod encoding;
mod fan_out;
mod interest;
mod message;
mod outbox;
mod stream;
mod subscription;
mod subscriptions;

pub use effects::Effects;
pub use encoding::{Encoding, server_sent_event};
pub use fan_out::{FanOut, Receivers};
pub use interest::{Interest, InterestReport, Matches};
pub use message::{ChannelSpace, Message, SharedMessage};
pub use outbox::Outbox;
pub use stream::Stream;
pub use subscription::{Subscription, SubscriptionOptions, Topic};
pub use subscriptions::Subscriptions;

/// A text that is shared: a subject, a pattern, the name of a queue group.
pub type Name = std::sync::Arc<[u8]>;
