//! Messages as a client of the broker gets them.  The tests of `src/stream` read them with this file too.

/// A message as a client gets it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Delivered {
    pub(crate) subject: String,
    /// The id of the subscription.
    pub(crate) id: String,
    pub(crate) reply: String,
    /// The block of headers, empty if there is none.
    pub(crate) headers: Vec<u8>,
    pub(crate) payload: Vec<u8>,
}

impl Delivered {
    /// All messages in these bytes, of which the last is whole.
    pub(crate) fn all(mut bytes: &[u8]) -> Vec<Delivered> {
        let mut found = Vec::new();
        while !bytes.is_empty() {
            let (delivered, length) = Delivered::read(bytes).expect("the last message is whole");
            found.push(delivered);
            bytes = &bytes[length..];
        }
        found
    }

    /// The message that these bytes begin with, and its length, once it is whole.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Delivered, usize)> {
        let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
        let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let words: Vec<&str> = line.split(' ').collect();
        let has_headers = words[0] == "HMSG";
        assert!(has_headers || words[0] == "MSG", "no message: {line}");
        let lengths = words.len() - 1 - usize::from(has_headers);
        let length = |word: &str| word.parse::<usize>().unwrap_or_else(|_| panic!("no length: {line}"));
        let (headers, total) = match words[lengths..] {
            [headers, total] => (length(headers), length(total)),
            [total] => (0, length(total)),
            _ => panic!("no lengths: {line}"),
        };
        let rest = bytes.get(end + 2..end + 2 + total + 2)?;
        assert!(rest.ends_with(b"\r\n"), "the payload of {line} does not end where its length says");
        let delivered = Delivered {
            subject: words[1].to_owned(),
            id: words[2].to_owned(),
            reply: if lengths == 4 { words[3].to_owned() } else { String::new() },
            headers: rest[..headers].to_vec(),
            payload: rest[headers..total].to_vec(),
        };
        Some((delivered, end + 2 + total + 2))
    }
}
