//! The client that a priority group is pinned to: while it keeps asking, it alone gets the group's messages.

use super::Consumer;
use super::effect::{Effect, Turn, UnpinCause};
use super::rules::{Priority, micros};

/// The id by which a pinned client is known, sixteen hexadecimal digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PinId(u64);

impl PinId {
    /// The id that a client sent; what is no id of ours becomes one that nobody has.
    pub fn read(text: &[u8]) -> PinId {
        let digits = std::str::from_utf8(text).ok().filter(|text| text.len() == 16);
        PinId(digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0))
    }

    /// The id of this number among those made from `seed`; never the one that nobody has.
    fn made(seed: u64, number: u64) -> PinId {
        let mut mixed = seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        PinId((mixed ^ (mixed >> 31)).max(1))
    }
}

impl std::fmt::Display for PinId {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:016x}", self.0)
    }
}

/// The pinned client, if there is one.
#[derive(Default)]
pub(super) struct Pin {
    held: Option<Held>,
    /// Ids made so far.
    made: u64,
}

struct Held {
    id: PinId,
    until: u64,
    /// Since when, in microseconds since 1970.
    since: i64,
}

impl Pin {
    pub(super) fn id(&self) -> Option<PinId> {
        self.held.as_ref().map(|held| held.id)
    }

    /// Since when, in microseconds since 1970.
    pub(super) fn since(&self) -> Option<i64> {
        self.held.as_ref().map(|held| held.since)
    }

    pub(super) fn until(&self) -> Option<u64> {
        self.held.as_ref().map(|held| held.until)
    }
}

impl Consumer {
    /// Takes the group away from the client that holds it, so that the next request gets it.  It is told of even if no client does.
    pub fn unpin(&mut self, turn: &mut Turn<'_>) {
        self.pin.held = None;
        turn.effects.push(Effect::Unpinned { cause: UnpinCause::Administrative });
    }

    /// Pins the group to whoever made the request that is served now.
    pub(super) fn pin_client(&mut self, turn: &mut Turn<'_>) -> PinId {
        self.pin.made += 1;
        let id = PinId::made(self.rules.seed, self.pin.made);
        self.pin.held = Some(Held { id, until: 0, since: turn.now.wall_micros() });
        self.renew_pin(turn.micros());
        turn.effects.push(Effect::Pinned { id });
        id
    }

    /// The pinned client has asked or got something.
    pub(super) fn renew_pin(&mut self, now: u64) {
        if let (Priority::PinnedClient(span), Some(held)) = (self.rules.priority(), &mut self.pin.held) {
            held.until = now.saturating_add(micros(span));
        }
    }

    pub(super) fn expire_pin(&mut self, turn: &mut Turn<'_>) {
        if self.pin.until().is_some_and(|until| until <= turn.micros()) {
            self.pin.held = None;
            turn.effects.push(Effect::Unpinned { cause: UnpinCause::Timeout });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PinId;

    #[test]
    fn an_id_is_read_as_it_was_written() {
        let id = PinId::made(7, 1);
        assert_eq!(PinId::read(id.to_string().as_bytes()), id);
        assert_ne!(PinId::made(7, 2), id);
        assert_ne!(PinId::made(8, 1), id);
        for foreign in [&b""[..], b"S1Nunr6R", b"zzzzzzzzzzzzzzzz", b"+123456789abcdef0"] {
            assert_eq!(PinId::read(foreign), PinId(0));
        }
    }
}
