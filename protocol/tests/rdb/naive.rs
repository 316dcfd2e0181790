//! Plain encoders of payloads, written from the description of the formats.

use quartet_protocol::rdb::Fault;

/// A value whose parts are in their order.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Value {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(Vec<Vec<u8>>),
    SortedSet(Vec<(Vec<u8>, f64)>),
    Hash(Vec<(Vec<u8>, Vec<u8>, Option<u64>)>),
}

impl Value {
    fn strings(&self) -> Vec<&[u8]> {
        match self {
            Value::String(string) => vec![string],
            Value::List(items) | Value::Set(items) => items.iter().map(Vec::as_slice).collect(),
            Value::SortedSet(members) => members.iter().map(|(member, _)| &member[..]).collect(),
            Value::Hash(fields) => fields.iter().flat_map(|(field, value, _)| [&field[..], value]).collect(),
        }
    }

    /// Bytes of all strings.
    pub(crate) fn size(&self) -> usize {
        self.strings().iter().map(|string| string.len()).sum()
    }

    /// Bytes of the longest string.
    pub(crate) fn longest(&self) -> usize {
        self.strings().iter().map(|string| string.len()).max().unwrap_or_default()
    }

    pub(crate) fn forget_expiry(&mut self) {
        if let Value::Hash(fields) = self {
            fields.iter_mut().for_each(|(_, _, expires)| *expires = None);
        }
    }
}

/// A type and value with their footer.
pub(crate) fn payload(version: u16, value: &[u8]) -> Vec<u8> {
    let mut payload = value.to_vec();
    payload.extend(version.to_le_bytes());
    let sum = checksum(&payload);
    payload.extend(sum.to_le_bytes());
    payload
}

/// Whether the footer is right.
pub(crate) fn is_payload(bytes: &[u8]) -> bool {
    bytes.len() >= 10 && checksum(&bytes[..bytes.len() - 8]).to_le_bytes() == bytes[bytes.len() - 8..]
}

/// Jones' CRC, from its polynomial as it is published.
fn checksum(bytes: &[u8]) -> u64 {
    let sum = bytes.iter().fold(0_u64, |sum, byte| {
        (0..8).fold(sum ^ u64::from(byte.reverse_bits()) << 56, |sum, _| {
            sum << 1 ^ if sum >> 63 == 1 { 0xad93_d235_94c9_35a9 } else { 0 }
        })
    });
    sum.reverse_bits()
}

/// The integer that a string is the decimal text of.
fn integer(string: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(string).ok()?;
    let integer: i64 = text.parse().ok()?;
    (integer.to_string() == text).then_some(integer)
}

/// A length in so many bits: 6, 14, 32 or 64.
pub(crate) fn length(length: u64, bits: u32) -> Vec<u8> {
    match bits {
        6 => vec![length as u8],
        14 => (0x4000 | length as u16).to_be_bytes().to_vec(),
        32 => [&[0x80][..], &(length as u32).to_be_bytes()].concat(),
        _ => [&[0x81][..], &length.to_be_bytes()].concat(),
    }
}

/// A string as it is, or compressed.
pub(crate) fn string(string: &[u8], is_compressed: bool) -> Vec<u8> {
    if !is_compressed {
        return [length(string.len() as u64, 32), string.to_vec()].concat();
    }
    let compressed = compress(string);
    let lengths = [length(compressed.len() as u64, 32), length(string.len() as u64, 64)].concat();
    [vec![0xc3], lengths, compressed].concat()
}

/// LZF that repeats the longest run it finds at some distances.
pub(crate) fn compress(bytes: &[u8]) -> Vec<u8> {
    let mut compressed = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let run = |distance: usize| {
            (0..264.min(bytes.len() - at)).take_while(|i| bytes[at + i - distance] == bytes[at + i]).count()
        };
        let distances = (1..8).chain([300]).filter(|&distance| distance <= at);
        let best = distances.map(|distance| (run(distance), distance)).max().unwrap_or_default();
        if best.0 < 3 {
            compressed.extend([0, bytes[at]]);
            at += 1;
            continue;
        }
        let (count, distance) = (best.0 - 2, best.1 - 1);
        if count < 7 {
            compressed.push((count << 5 | distance >> 8) as u8);
        } else {
            compressed.extend([(7 << 5 | distance >> 8) as u8, (count - 7) as u8]);
        }
        compressed.push(distance as u8);
        at += best.0;
    }
    compressed
}

fn listpack_item(string: &[u8]) -> Vec<u8> {
    let mut item = match integer(string) {
        Some(integer @ 0..=127) => vec![integer as u8],
        Some(integer @ -4096..=4095) => (0xc000 | integer as u16 & 0x1fff).to_be_bytes().to_vec(),
        Some(integer) => {
            let bytes = integer.to_le_bytes();
            match integer {
                -0x8000..=0x7fff => [&[0xf1], &bytes[..2]].concat(),
                -0x80_0000..=0x7f_ffff => [&[0xf2], &bytes[..3]].concat(),
                -0x8000_0000..=0x7fff_ffff => [&[0xf3], &bytes[..4]].concat(),
                _ => [&[0xf4], &bytes[..]].concat(),
            }
        }
        None => {
            let head = match string.len() {
                length @ 0..=63 => vec![0x80 | length as u8],
                length @ 64..=4095 => (0xe000 | length as u16).to_be_bytes().to_vec(),
                length => [&[0xf0][..], &(length as u32).to_le_bytes()].concat(),
            };
            [head, string.to_vec()].concat()
        }
    };
    let length = item.len();
    let mut backward = match length {
        0..128 => vec![length],
        128..16_383 => vec![length >> 7, length & 127 | 128],
        _ => vec![length >> 14, length >> 7 & 127 | 128, length & 127 | 128],
    };
    item.extend(backward.drain(..).map(|byte| byte as u8));
    item
}

/// The number of items as heads have room for it.
fn short_count(count: usize) -> [u8; 2] {
    u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes()
}

pub(crate) fn listpack(items: &[&[u8]]) -> Vec<u8> {
    let body: Vec<u8> = items.iter().flat_map(|item| listpack_item(item)).collect();
    let length = (body.len() + 7) as u32;
    [&length.to_le_bytes()[..], &short_count(items.len()), &body, &[0xff]].concat()
}

pub(crate) fn ziplist(items: &[&[u8]]) -> Vec<u8> {
    let (mut body, mut before) = (Vec::new(), 0);
    for string in items {
        let mut item = if before < 254 {
            vec![before as u8]
        } else {
            [&[254][..], &(before as u32).to_le_bytes()].concat()
        };
        let encoding = match integer(string) {
            Some(integer @ 0..=12) => vec![0xf1 + integer as u8],
            Some(integer) => {
                let bytes = integer.to_le_bytes();
                match integer {
                    -0x80..=0x7f => [&[0xfe], &bytes[..1]].concat(),
                    -0x8000..=0x7fff => [&[0xc0], &bytes[..2]].concat(),
                    -0x80_0000..=0x7f_ffff => [&[0xf0], &bytes[..3]].concat(),
                    -0x8000_0000..=0x7fff_ffff => [&[0xd0], &bytes[..4]].concat(),
                    _ => [&[0xe0], &bytes[..]].concat(),
                }
            }
            None => {
                let head = match string.len() {
                    length @ 0..=63 => vec![length as u8],
                    length @ 64..=16_383 => (0x4000 | length as u16).to_be_bytes().to_vec(),
                    length => [&[0x80][..], &(length as u32).to_be_bytes()].concat(),
                };
                [head, string.to_vec()].concat()
            }
        };
        item.extend(encoding);
        before = item.len();
        body.extend(item);
    }
    let (length, tail) = ((body.len() + 11) as u32, (10 + body.len() - before) as u32);
    [&length.to_le_bytes()[..], &tail.to_le_bytes(), &short_count(items.len()), &body, &[0xff]].concat()
}

/// Each value has `unused` bytes behind it.
pub(crate) fn zipmap(fields: &[(&[u8], &[u8])], unused: usize) -> Vec<u8> {
    let length = |length: usize| match length {
        0..254 => vec![length as u8],
        _ => [&[254][..], &(length as u32).to_le_bytes()].concat(),
    };
    let mut zipmap = vec![fields.len().min(254) as u8];
    for (field, value) in fields {
        zipmap
            .extend([length(field.len()), field.to_vec(), length(value.len()), vec![unused as u8]].concat());
        zipmap.extend([value.to_vec(), vec![7; unused]].concat());
    }
    zipmap.push(0xff);
    zipmap
}

pub(crate) fn intset(integers: &[i64]) -> Vec<u8> {
    let width = [2, 4, 8].into_iter().find(|width| {
        let bits = 8 * width - 1;
        integers.iter().all(|integer| integer >> bits == 0 || integer >> bits == -1)
    });
    let width = width.expect("eight bytes hold all");
    let integers: Vec<u8> =
        integers.iter().flat_map(|integer| integer.to_le_bytes()[..width].to_vec()).collect();
    let count = (integers.len() / width) as u32;
    [&(width as u32).to_le_bytes()[..], &count.to_le_bytes(), &integers].concat()
}

/// The refusal that most damage meets.
pub(crate) const DAMAGED: Result<Value, Fault> = Err(Fault::Format);
