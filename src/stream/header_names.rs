//! The names of all headers that streams read and write, as clients know them.
//!
//! `Nats-Delay` and those of a dead letter are Quartet's own.

macro_rules! names {
    ($($name:ident $text:literal $meaning:literal)*) => {
        $(#[doc = $meaning] pub const $name: &str = $text;)*
    };
}

names! {
    // What a publisher asks of a stream.
    MESSAGE_ID "Nats-Msg-Id" "The id by which a message that is sent again is known."
    EXPECTED_STREAM "Nats-Expected-Stream" "The stream that must keep the message."
    EXPECTED_LAST_SEQUENCE "Nats-Expected-Last-Sequence" "The stream's last sequence before the message."
    EXPECTED_LAST_SUBJECT_SEQUENCE "Nats-Expected-Last-Subject-Sequence" "The subject's last sequence before the message."
    EXPECTED_SUBJECT "Nats-Expected-Last-Subject-Sequence-Subject" "The subject whose last sequence is expected, if it is another."
    EXPECTED_LAST_MESSAGE_ID "Nats-Expected-Last-Msg-Id" "The id of the stream's last message."
    ROLLUP "Nats-Rollup" "Which messages the message replaces: those of its subject, or all."
    LIFETIME "Nats-TTL" "How long the message is kept."
    SCHEDULE "Nats-Schedule" "When the message is published on its target."
    SCHEDULE_TARGET "Nats-Schedule-Target" "The subject on which a scheduled message is published."
    SCHEDULE_LIFETIME "Nats-Schedule-TTL" "The lifetime of what a schedule publishes."
    SCHEDULE_ZONE "Nats-Schedule-Time-Zone" "The time zone of a schedule that comes again."
    SCHEDULE_SOURCE "Nats-Schedule-Source" "The subject whose last message a schedule publishes."
    SCHEDULE_ROLLUP "Nats-Schedule-Rollup" "Which messages the message that a schedule publishes replaces."
    BATCH_ID "Nats-Batch-Id" "The batch that is stored as a whole or not at all."
    INCREMENT "Nats-Incr" "What is added to the counter of the subject."
    DELAY "Nats-Delay" "How long after it was stored the message is published on its target."
    REQUIRED_API_LEVEL "Nats-Required-Api-Level" "The level of the API that a client needs."

    // What is said of a message.
    STREAM "Nats-Stream" "The stream of a message that was read or published again."
    SUBJECT "Nats-Subject" "Its subject."
    SEQUENCE "Nats-Sequence" "Its sequence."
    TIME "Nats-Time-Stamp" "When it was stored."
    LAST_SEQUENCE "Nats-Last-Sequence" "The sequence of the one before it."
    UP_TO_SEQUENCE "Nats-UpTo-Sequence" "Up to where the past was looked at."
    PENDING_COUNT "Nats-Num-Pending" "How many are left behind it."
    SIZE "Nats-Msg-Size" "How long a payload is that is left out."
    PIN_ID "Nats-Pin-Id" "The pin of the client that gets it."
    SCHEDULER "Nats-Scheduler" "The subject of the schedule that published it."
    SCHEDULE_NEXT "Nats-Schedule-Next" "When the schedule publishes again, or that it is over."
    MARKER_REASON "Nats-Marker-Reason" "Why a subject has no message any more."
    KEY_OPERATION "KV-Operation" "What the entry of a key does, unless it is a value."

    // What a dead letter says of the message that it is about, besides the above.
    CONSUMER "Nats-Consumer" "The consumer that gave the message up."
    DELIVERIES "Nats-Deliveries" "How often the message was delivered."
    CAUSE "Nats-Dead-Letter-Cause" "Why it was given up."
    LEFT_TIME "Nats-Dead-Letter-Time" "When it was given up."
    DAMAGE "Nats-Dead-Letter-Damage" "Why the letter does not have the message itself."

    // What a status says.
    PENDING_MESSAGES "Nats-Pending-Messages" "How many messages of a request are not delivered."
    PENDING_BYTES "Nats-Pending-Bytes" "How many bytes of a request are not delivered."
    LAST_CONSUMER "Nats-Last-Consumer" "The number of the last delivery."
    LAST_STREAM "Nats-Last-Stream" "The sequence of the last delivered message."
    CONSUMER_STALLED "Nats-Consumer-Stalled" "The subject by which a consumer that waits is told to continue."
}
