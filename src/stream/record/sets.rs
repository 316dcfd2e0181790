//! Sets of sequences, in the portable format of Roaring, and their division into parts that a record has room for.

use roaring::RoaringTreemap;

/// Bytes of a set in one record, at most.
pub const SET_BYTES_MAX: usize = 16 << 20;

/// Sequences that lie so near to one another take three quarters of that or less, whichever they are: a bit each, and what is around it.
const SPAN: u64 = 1 << 26;

/// The parts of a set, none of which is longer than [`SET_BYTES_MAX`]; none at all of an empty one.
pub fn set_parts(set: &RoaringTreemap) -> Vec<RoaringTreemap> {
    divided(set, SET_BYTES_MAX, SPAN)
}

fn divided(set: &RoaringTreemap, bytes_max: usize, span: u64) -> Vec<RoaringTreemap> {
    if set.serialized_size() <= bytes_max {
        return if set.is_empty() { Vec::new() } else { vec![set.clone()] };
    }
    let (mut parts, mut part, mut from) = (Vec::new(), RoaringTreemap::new(), Some(0));
    while let Some(first) = from.and_then(|from| first_from(set, from)) {
        let last = first | (span - 1);
        let mut next = RoaringTreemap::new();
        next.insert_range(first..=last);
        next &= set;
        if part.serialized_size() + next.serialized_size() > bytes_max {
            parts.push(std::mem::take(&mut part));
        }
        part |= next;
        from = last.checked_add(1);
    }
    parts.push(part);
    parts
}

fn first_from(set: &RoaringTreemap, from: u64) -> Option<u64> {
    let mut sequences = set.iter();
    sequences.advance_to(from);
    sequences.next()
}

/// Writes a set.
pub(super) fn put_set(set: &RoaringTreemap, into: &mut Vec<u8>) {
    let at = into.len();
    if set.serialize_into(&mut *into).is_err() {
        debug_assert!(false, "memory takes everything");
        into.truncate(at);
    }
}

/// Reads a set that takes all of `bytes`.
pub(super) fn take_set(bytes: &mut &[u8]) -> Option<RoaringTreemap> {
    RoaringTreemap::deserialize_from(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_divided_so_that_records_have_room_for_them() {
        let small: RoaringTreemap = [1, 5, 1 << 50].into_iter().collect();
        assert_eq!((set_parts(&small), set_parts(&RoaringTreemap::new())), (vec![small], vec![]));
        // Of every other sequence Roaring needs a bit for each.
        let mut set: RoaringTreemap = (1000..1_000_000).map(|at| at * 2).collect();
        set.extend([(1 << 40) + 7, u64::MAX]);
        let (bytes_max, span) = (SET_BYTES_MAX / 256, SPAN / 256);
        let parts = divided(&set, bytes_max, span);
        assert!(parts.len() > 4 && parts.iter().all(|part| part.serialized_size() <= bytes_max));
        let count: u64 = parts.iter().map(RoaringTreemap::len).sum();
        let mut whole = RoaringTreemap::new();
        parts.into_iter().for_each(|part| whole |= part);
        assert!(whole == set && count == set.len());
    }

    #[test]
    fn a_span_takes_less_than_a_part() {
        let blocks = SPAN / (1 << 16);
        // A bitmap of each 65,536, its key and count and its place.
        assert!(blocks * (8192 + 4 + 4) + 100 <= SET_BYTES_MAX as u64 * 3 / 4);
    }
}
