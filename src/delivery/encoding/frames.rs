//! Messages in the frames of the broker's protocol.

use quartet_protocol::broker::write::{self, Delivery};
use quartet_protocol::buffer::Buffer;

use crate::delivery::{Message, Subscription};

/// Appends `MSG`, or `HMSG` if the message has headers.
pub(super) fn write(message: &Message<'_>, subscription: &Subscription, buffer: &mut Buffer) {
    let Message { subject, reply, headers, payload, .. } = *message;
    let delivery = Delivery { subject, sid: &subscription.options().id, reply, headers, payload };
    match message.shared_payload {
        Some(shared) => write::message_shared(buffer, &delivery, shared),
        None => write::message(buffer, &delivery),
    }
}

/// Appends a message without content whose headers hold a status and the number of missed messages.
pub(super) fn write_gap(missed: u64, subscription: &Subscription, buffer: &mut Buffer) {
    write::missed(buffer, subscription.topic().text(), &subscription.options().id, missed);
}
