//! Requests with places that are filled in anew each time: `__key__`, `__data__`, `__client__` and `__answer__`.

use quartet_protocol::resp::Output;
use quartet_protocol::resp::number::unsigned_text;

use crate::random::Random;

/// The digits of a key and of a client: always as many, so that requests have a length that is known beforehand.
const KEY_DIGITS: usize = 12;
const CLIENT_DIGITS: usize = 6;

/// How long the values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// The shortest.
    pub(super) least: usize,
    /// The longest.
    pub(super) most: usize,
}

impl Size {
    fn draw(self, random: &mut Random) -> usize {
        self.least + if self.least == self.most { 0 } else { random.below(self.most - self.least + 1) }
    }
}

/// What the places of a request are filled with.
pub(super) struct Filling<'f> {
    /// The number of the first key.  It is the same in all requests of an operation.
    pub(super) key: u64,
    /// The number of the client, which has one operation at a time.
    pub(super) client: u32,
    /// What the answer before this request has told.
    pub(super) answer: &'f [u8],
}

/// A piece of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Bytes(Vec<u8>),
    Key,
    Client,
    Answer,
    Data,
    /// The length of the data, so many times, and of the other bytes, in digits.
    Length {
        data: usize,
        others: usize,
    },
}

/// A request.
#[derive(Clone, Debug)]
pub(super) struct Template {
    form: Form,
    size: Size,
}

/// How a request is kept.
#[derive(Clone, Debug)]
enum Form {
    /// Whole, if it is always as long: only the digits at these offsets are written anew.
    Whole { bytes: Vec<u8>, numbers: Vec<(usize, Number)> },
    /// In pieces.
    Pieces(Vec<Piece>),
}

/// A number that stands in a request, with all its leading zeros.
#[derive(Clone, Copy, Debug)]
enum Number {
    Key,
    Client,
}

/// The words that stand for a place.
const PLACES: &[(&str, Piece)] = &[
    ("__key__", Piece::Key),
    ("__data__", Piece::Data),
    ("__client__", Piece::Client),
    ("__answer__", Piece::Answer),
];

/// What all requests of a workload have in common.
#[derive(Clone, Debug)]
pub(super) struct Style {
    /// What each key begins with.
    pub(super) prefix: String,
    /// How long the values are.
    pub(super) size: Size,
}

impl Style {
    /// A command over RESP.
    pub(super) fn command(&self, words: &[impl AsRef<str>]) -> Template {
        let mut pieces = Vec::new();
        let mut head = Output::new();
        head.array(words.len());
        push_bytes(&mut pieces, &head.into_buffer().into_bytes());
        for word in words {
            let parts = self.parts(word.as_ref());
            push_bytes(&mut pieces, b"$");
            self.push_length(&mut pieces, &parts);
            push_bytes(&mut pieces, b"\r\n");
            parts.into_iter().for_each(|part| self.push(&mut pieces, part));
            push_bytes(&mut pieces, b"\r\n");
        }
        Template::of(pieces, self.size)
    }

    /// A request over HTTP/1.1.  `headers` are whole lines.
    pub(super) fn http(&self, method: &str, path: &str, headers: &str, body: &str) -> Template {
        let mut pieces = Vec::new();
        push_bytes(&mut pieces, format!("{method} ").as_bytes());
        self.parts(path).into_iter().for_each(|part| self.push(&mut pieces, part));
        push_bytes(&mut pieces, b" HTTP/1.1\r\n");
        self.parts(headers).into_iter().for_each(|part| self.push(&mut pieces, part));
        let body = self.parts(body);
        if !body.is_empty() {
            push_bytes(&mut pieces, b"Content-Length: ");
            self.push_length(&mut pieces, &body);
            push_bytes(&mut pieces, b"\r\n");
        }
        push_bytes(&mut pieces, b"\r\n");
        body.into_iter().for_each(|part| self.push(&mut pieces, part));
        Template::of(pieces, self.size)
    }

    /// The pieces of a text with places in it.
    fn parts(&self, text: &str) -> Vec<Piece> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        loop {
            let found = PLACES.iter().filter_map(|(word, piece)| Some((rest.find(word)?, word.len(), piece)));
            let Some((at, length, piece)) = found.min_by_key(|(at, ..)| *at) else { break };
            push_bytes(&mut pieces, &rest.as_bytes()[..at]);
            if *piece == Piece::Key {
                push_bytes(&mut pieces, self.prefix.as_bytes());
            }
            pieces.push(piece.clone());
            rest = &rest[at + length..];
        }
        push_bytes(&mut pieces, rest.as_bytes());
        pieces
    }

    /// Pushes the length of these parts in digits: now, if it is always the same.
    fn push_length(&self, pieces: &mut Vec<Piece>, parts: &[Piece]) {
        let (mut length, mut data) = (0, 0);
        for part in parts {
            match part {
                Piece::Bytes(bytes) => length += bytes.len(),
                Piece::Key => length += KEY_DIGITS,
                Piece::Client => length += CLIENT_DIGITS,
                Piece::Data if self.size.least == self.size.most => length += self.size.least,
                Piece::Data => data += 1,
                // Paths alone hold it, whose length nobody announces.
                Piece::Answer | Piece::Length { .. } => {}
            }
        }
        if data > 0 {
            pieces.push(Piece::Length { data, others: length });
        } else {
            push_bytes(pieces, &unsigned_text(length as u64));
        }
    }

    fn push(&self, pieces: &mut Vec<Piece>, part: Piece) {
        match part {
            Piece::Bytes(bytes) => push_bytes(pieces, &bytes),
            Piece::Data if self.size.least == self.size.most => {
                push_bytes(pieces, &vec![b'x'; self.size.least]);
            }
            other => pieces.push(other),
        }
    }
}

/// Adds bytes to the last piece if that is bytes too.
fn push_bytes(pieces: &mut Vec<Piece>, bytes: &[u8]) {
    match pieces.last_mut() {
        _ if bytes.is_empty() => {}
        Some(Piece::Bytes(last)) => last.extend_from_slice(bytes),
        _ => pieces.push(Piece::Bytes(bytes.to_vec())),
    }
}

impl Template {
    fn of(pieces: Vec<Piece>, size: Size) -> Template {
        let form = whole(&pieces).unwrap_or(Form::Pieces(pieces));
        Template { form, size }
    }

    /// Appends the request.  The first key is the filling's, each further one is drawn.
    #[inline]
    pub(super) fn write(
        &self,
        output: &mut Vec<u8>,
        filling: &Filling<'_>,
        random: &mut Random,
        mut draw: impl FnMut(&mut Random) -> u64,
    ) {
        let mut key = Some(filling.key);
        let mut key = |random: &mut Random| key.take().unwrap_or_else(|| draw(random));
        match &self.form {
            Form::Whole { bytes, numbers } => {
                let start = output.len();
                output.extend_from_slice(bytes);
                for (offset, number) in numbers {
                    let rest = &mut output[start + offset..];
                    match number {
                        Number::Key => rest[..KEY_DIGITS].copy_from_slice(&key_digits(key(random))),
                        Number::Client => {
                            rest[..CLIENT_DIGITS].copy_from_slice(&client_digits(filling.client))
                        }
                    }
                }
            }
            Form::Pieces(pieces) => {
                let mut length = None;
                for piece in pieces {
                    match piece {
                        Piece::Bytes(bytes) => output.extend_from_slice(bytes),
                        Piece::Key => output.extend_from_slice(&key_digits(key(random))),
                        Piece::Client => output.extend_from_slice(&client_digits(filling.client)),
                        Piece::Answer => output.extend_from_slice(filling.answer),
                        Piece::Data => {
                            let drawn = length.unwrap_or(self.size.least);
                            output.resize(output.len() + drawn, b'x');
                        }
                        Piece::Length { data, others } => {
                            let drawn = *length.insert(self.size.draw(random));
                            output.extend_from_slice(&unsigned_text((drawn * data + others) as u64));
                        }
                    }
                }
            }
        }
    }
}

/// The pieces as one request, if that is always as long.
fn whole(pieces: &[Piece]) -> Option<Form> {
    let (mut bytes, mut numbers) = (Vec::new(), Vec::new());
    for piece in pieces {
        let (number, digits) = match piece {
            Piece::Bytes(more) => {
                bytes.extend_from_slice(more);
                continue;
            }
            Piece::Key => (Number::Key, KEY_DIGITS),
            Piece::Client => (Number::Client, CLIENT_DIGITS),
            Piece::Answer | Piece::Data | Piece::Length { .. } => return None,
        };
        numbers.push((bytes.len(), number));
        bytes.resize(bytes.len() + digits, b'0');
    }
    Some(Form::Whole { bytes, numbers })
}

/// The digits of a key, of which the first are zeros nearly always.
#[inline]
fn key_digits(key: u64) -> [u8; KEY_DIGITS] {
    let mut text = [b'0'; KEY_DIGITS];
    if key >= 100_000_000 {
        text[..4].copy_from_slice(&eight_digits(key / 100_000_000)[4..]);
    }
    text[4..].copy_from_slice(&eight_digits(key % 100_000_000));
    text
}

/// The digits of a client.  They are not worked out ahead for requests that name none, as they would be if this were inlined.
#[inline(never)]
fn client_digits(client: u32) -> [u8; CLIENT_DIGITS] {
    let mut text = [0; CLIENT_DIGITS];
    text.copy_from_slice(&eight_digits(u64::from(client))[8 - CLIENT_DIGITS..]);
    text
}

/// The eight digits of a number that has no more: halves are divided, then quarters, then digits, each time all parts at once in the
/// lanes of one word.  The factors are reciprocals, exact for what a lane can hold.
#[inline]
fn eight_digits(number: u64) -> [u8; 8] {
    let halves = (number / 10_000) | (number % 10_000) << 32;
    let hundreds = ((halves * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let quarters = hundreds | (halves - hundreds * 100) << 16;
    let tens = ((quarters * 103) >> 10) & 0x000f_000f_000f_000f;
    let digits = tens | (quarters - tens * 10) << 8;
    (digits + 0x3030_3030_3030_3030).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn style(least: usize, most: usize) -> Style {
        Style { prefix: "k:".to_owned(), size: Size { least, most } }
    }

    fn written(template: &Template, key: u64) -> String {
        let mut output = Vec::new();
        let filling = Filling { key, client: 7, answer: b"told" };
        let mut others = [98, 99].into_iter();
        let draw = |_: &mut Random| others.next().expect("two keys are drawn at most");
        template.write(&mut output, &filling, &mut Random::with_seed(1), draw);
        String::from_utf8(output).expect("it is text")
    }

    #[test]
    fn places_are_filled_within_words_too() {
        let template = style(3, 3).command(&["MSET", "__key__", "__data__!", "a__key__b", "__client__"]);
        assert_eq!(
            written(&template, 12),
            "*5\r\n$4\r\nMSET\r\n$14\r\nk:000000000012\r\n$4\r\nxxx!\r\n$16\r\nak:000000000098b\r\n$6\r\n000007\r\n"
        );
    }

    #[test]
    fn numbers_have_all_their_digits() {
        let template = style(0, 0).command(&["__key__"]);
        for key in [0, 7, 10, 99, 100, 123_456, 99_999_999, 100_000_000, 987_654_321_012, 999_999_999_999] {
            assert_eq!(written(&template, key), format!("*1\r\n$14\r\nk:{key:012}\r\n"));
        }
        // Whatever stands in a part: each half has all its values once.
        for part in 0..10_000 {
            for number in [part, part * 10_000, part * 10_001, 99_999_999 - part] {
                assert_eq!(key_digits(number * 9_999), *format!("{:012}", number * 9_999).as_bytes());
                assert_eq!(eight_digits(number), *format!("{number:08}").as_bytes());
            }
        }
    }

    #[test]
    fn lengths_that_vary_are_announced_as_they_are() {
        let template = style(0, 40).command(&["SET", "__key__", "<__data__>"]);
        for key in 0..50 {
            let text = written(&template, key);
            let rest = text.split_once("0\r\n$").map_or("", |(_, rest)| rest);
            let rest = if rest.is_empty() { &text[text.rfind('$').expect("a value") + 1..] } else { rest };
            let (length, value) = rest.split_once("\r\n").expect("a length");
            assert_eq!(length.parse(), Ok(value.len() - 2), "{text}");
        }
    }

    #[test]
    fn a_request_of_http_announces_its_body() {
        let template =
            style(2, 2).http("PUT", "/a/__key__?__answer__", "Host: h\r\n", "{\"v\":\"__data__\"}");
        assert_eq!(
            written(&template, 5),
            "PUT /a/k:000000000005?told HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n{\"v\":\"xx\"}"
        );
        let template = style(2, 2).http("GET", "/", "", "");
        assert_eq!(written(&template, 5), "GET / HTTP/1.1\r\n\r\n");
    }
}
