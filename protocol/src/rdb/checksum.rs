//! The checksum of payloads: the CRC with 64 bits of Jones, in its reflected form, from zero and not inverted.

/// Jones' polynomial 0xad93d23594c935a9 with its bits reversed.
const POLYNOMIAL: u64 = 0x95ac_9329_ac4b_c9b5;

/// Bytes that a step takes in.
const STEP: usize = 8;

/// In row `n`: what a byte does to the checksum once `n` further bytes have followed it.
static TABLE: [[u64; 256]; STEP] = {
    let mut table = [[0; 256]; STEP];
    let mut byte = 0;
    while byte < 256 {
        let (mut sum, mut bit) = (byte as u64, 0);
        while bit < 8 {
            sum = if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 };
            bit += 1;
        }
        table[0][byte] = sum;
        byte += 1;
    }
    let mut row = 1;
    while row < STEP {
        let mut byte = 0;
        while byte < 256 {
            let before = table[row - 1][byte];
            table[row][byte] = table[0][(before & 0xff) as usize] ^ before >> 8;
            byte += 1;
        }
        row += 1;
    }
    table
};

/// The checksum of some bytes.
pub(super) fn checksum(bytes: &[u8]) -> u64 {
    let (steps, rest) = bytes.as_chunks::<STEP>();
    let sum = steps.iter().fold(0, |sum, step| {
        let mixed = (sum ^ u64::from_le_bytes(*step)).to_le_bytes();
        let table = TABLE.iter().rev();
        mixed.iter().zip(table).fold(0, |sum, (&byte, row)| sum ^ row[usize::from(byte)])
    });
    rest.iter().fold(sum, |sum, &byte| TABLE[0][usize::from(sum as u8 ^ byte)] ^ sum >> 8)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn checksum_bit_by_bit(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |sum, &byte| {
            (0..8).fold(
                sum ^ u64::from(byte),
                |sum, _| {
                    if sum & 1 == 1 { sum >> 1 ^ POLYNOMIAL } else { sum >> 1 }
                },
            )
        })
    }

    #[test]
    fn is_that_of_redis() {
        // The value in Redis' own test of its checksum.
        assert_eq!(checksum(b"123456789"), 0xe9c6_d914_c4b8_d9ca);
        assert_eq!(checksum(b""), 0);
    }

    proptest! {
        #[test]
        fn eight_bytes_at_once_are_as_one_bit_at_a_time(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            prop_assert_eq!(checksum(&bytes), checksum_bit_by_bit(&bytes));
        }
    }
}
