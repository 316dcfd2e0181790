//! Slots that are entered, left and renewed by name, against a plain list.

use super::super::{Algorithm, Concurrency, SlotId, StateBytes};
use super::*;

#[test]
fn slots_are_held_until_they_are_left_or_their_lease_ends() {
    const LIMIT: i64 = 10;
    const LEASE: Nanos = 1_000_000_000;
    let slots = Concurrency::new(parameters(LIMIT, 1_000, None)).expect("the parameters are valid");
    for seed in 0..40 {
        let mut random = Random::with_seed(seed);
        let mut state = StateBytes::new();
        // The slots that are held: name, weight, end of the lease.
        let mut model: Vec<(SlotId, u64, Nanos)> = Vec::new();
        let mut names = Vec::new();
        let mut now = 1 << 61;
        for _ in 0..400 {
            now += random.draw() % (LEASE / 8);
            model.retain(|(_, _, ends_at)| *ends_at > now);
            let mut held = Concurrency::decode(&state).unwrap_or_default();
            let taken: u64 = model.iter().map(|(_, weight, _)| weight).sum();
            assert_eq!(slots.remaining(&held, now), LIMIT as u64 - taken);
            let lease = 1 + random.draw() % (2 * LEASE);
            match (random.below(3), names.len()) {
                (0, 1..) => {
                    let slot = names[random.below(names.len())];
                    let was_held = model.iter().any(|(name, _, _)| *name == slot);
                    model.retain(|(name, _, _)| *name != slot);
                    assert_eq!(slots.leave(&mut held, slot, now), was_held);
                }
                (1, 1..) => {
                    let slot = names[random.below(names.len())];
                    let place = model.iter().position(|(name, _, _)| *name == slot);
                    assert_eq!(slots.renew(&mut held, slot, lease, now), place.is_some());
                    if let Some(place) = place {
                        model[place].2 = now + lease;
                    }
                }
                _ => {
                    let weight = 1 + random.draw() % 3;
                    let wait = slots.wait(&held, weight, now).expect("the weight is under the limit");
                    assert_eq!(wait == 0, taken + weight <= LIMIT as u64);
                    if wait == 0 {
                        let slot = slots.enter(&mut held, weight, lease, now);
                        assert!(!names.contains(&slot), "a name is given once");
                        names.push(slot);
                        model.push((slot, weight, now + lease));
                    }
                }
            }
            Concurrency::encode(&held, &mut state);
        }
    }
}
