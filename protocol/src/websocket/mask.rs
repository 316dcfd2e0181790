//! The mask: every client mixes each frame with four bytes of its choice, so that no proxy takes the bytes for a request.

/// Takes the mask off `bytes`, which begin at the first byte of `key`, and returns the key of the bytes behind them.
pub(super) fn unmask(bytes: &mut [u8], key: [u8; 4]) -> [u8; 4] {
    let [a, b, c, d] = key;
    let word = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for bytes in words {
        *bytes = (u64::from_ne_bytes(*bytes) ^ word).to_ne_bytes();
    }
    rest.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    let mut next = key;
    next.rotate_left(rest.len() % key.len());
    next
}

#[cfg(test)]
mod tests {
    use super::unmask;

    #[test]
    fn a_mask_goes_on_wherever_a_payload_is_cut() {
        let key = [0x11, 0x80, 0xff, 0x00];
        let plain: Vec<u8> = (0..100).collect();
        let masked: Vec<u8> = plain.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        for first in 0..=plain.len() {
            let mut bytes = masked.clone();
            let (start, end) = bytes.split_at_mut(first);
            let next = unmask(start, key);
            unmask(end, next);
            assert_eq!(bytes, plain, "cut at {first}");
        }
    }
}
