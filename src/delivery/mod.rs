//! Everything that leaves a service beside the replies to requests: the effects of operations, and messages to the
//! subscribers of channels.  It knows no service.
//!
//! A message goes to the subscribers at the time of publishing and is not kept.  The messages of one subject reach all its
//! subscribers in one order.  While a receiver keeps up, its messages are formatted at once; for one that has fallen behind
//! they wait as references.  What is too much for it, or for all receivers together, its policy decides about, so that neither
//! other receivers nor publishers wait for it.
//!
//! | file | what it is |
//! |---|---|
//! | `message`, `sender`, `subscription`, `encoding/` | messages, who sends them, who gets them, and their form |
//! | `interest`, `fan_out` | who wants a subject; the way of a message to all of them |
//! | `sink`, `slowing`, `watch` | receivers within the server, publishers that wait for them, and its own work that waits for receivers |
//! | `effects`, `after_batch`, `publication`, `staging`, `spares`, `traffic` | what a thread's batch has for others, until its end; counts of it |
//! | `outbox/`, `gap`, `feed` | what waits for one receiver |
//! | `backlog`, `budget`, `relief` | what waits for all receivers, its bounds, and who gives way beyond them |

mod after_batch;
mod backlog;
mod budget;
mod effects;
mod encoding;
mod fan_out;
mod feed;
mod gap;
mod interest;
mod message;
mod outbox;
mod presence;
mod publication;
mod relief;
mod request;
mod sender;
mod sink;
mod slowing;
mod spares;
mod staging;
mod subscription;
mod subscriptions;
#[cfg(test)]
mod tests;
mod traffic;
mod watch;

pub use after_batch::AfterBatch;
pub use effects::Effects;
pub use encoding::{Encoding, HeaderValues, headers_by_name, server_sent_event};
pub use fan_out::{FanOut, Receivers, Recipients};
pub use feed::Feed;
pub use interest::{Interest, InterestReport, Matches};
pub use message::{ChannelSpace, Message, SharedMessage};
pub use outbox::{Outbox, ROOM};
pub use request::Unfinished;
pub use sender::{ACCOUNT, Sender};
pub use sink::{Sink, SinkId};
pub use slowing::{Crowd, SLOWED_TIME, SLOWED_TIME_MAX, Slowed};
pub use subscription::{Subscription, SubscriptionOptions, Topic};
pub use subscriptions::Subscriptions;
pub use traffic::{Amount, Listener, Traffic};
pub use watch::Watch;

/// A text that is shared: a subject, a pattern, the name of a queue group.
pub type Name = std::sync::Arc<[u8]>;
