//! Glob patterns, as in KEYS, SCAN, PSUBSCRIBE and CONFIG GET.
//!
//! `*` matches any bytes, `?` one byte, `[a-z]` one of these, `[^a-z]` one that is none of these, and `\x` the byte x itself.
//! All patterns of Redis are accepted: a class that is never closed ends with the pattern, and a range may run backwards.
//!
//! A [`Pattern`] is parsed once: a class becomes a set of bytes, and the part between two stars a piece that is found in one
//! pass.  So the cost of a text is at most its length times a constant.  [`matches()`] reads the pattern as it goes; it is
//! for short patterns that are used once.

use std::borrow::Cow;

use memchr::memmem;

/// The most elements of a piece between two stars that has a class or `?`.  The search takes a bit of memory for each of
/// the 256 bytes and each element.
pub const PIECE_LENGTH_MAX: usize = 4096;

/// A piece is first searched for place by place, which nearly always ends at once.  After this many steps per byte of the
/// text, it is searched for at all places together.
const STEPS_PER_BYTE: usize = 8;

/// A parsed pattern.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// The parts before, between and behind the stars; one part if there is no star.
    pieces: Box<[Piece]>,
}

/// The pattern has a piece over [`PIECE_LENGTH_MAX`] that cannot be searched for in bounded time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PatternTooComplex;

#[derive(Clone, Debug)]
enum Piece {
    /// Plain bytes.
    Literal(Box<[u8]>),
    Mixed(Box<[Element]>),
}

/// Matches one byte of the text.
#[derive(Clone, Debug)]
enum Element {
    Byte(u8),
    Any,
    Set(Box<ByteSet>),
}

/// A set of bytes, a bit for each.
#[derive(Clone, Copy, Default, Debug)]
struct ByteSet([u64; 4]);

impl ByteSet {
    fn insert(&mut self, byte: u8) {
        self.0[usize::from(byte / 64)] |= 1 << (byte % 64);
    }

    fn holds(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1
    }

    fn inverted(self) -> ByteSet {
        ByteSet(self.0.map(|bits| !bits))
    }

    /// The set for matching without case: letters that it has in lower case match in both cases, and others never.
    fn unfolded(self) -> ByteSet {
        let mut unfolded = ByteSet::default();
        for byte in 0..=u8::MAX {
            if self.holds(byte.to_ascii_lowercase()) {
                unfolded.insert(byte);
            }
        }
        unfolded
    }
}

impl Element {
    /// The byte that it says without a sign.
    fn byte(&self) -> Option<u8> {
        if let Element::Byte(byte) = self { Some(*byte) } else { None }
    }

    fn holds(&self, byte: u8) -> bool {
        match self {
            Element::Byte(only) => *only == byte,
            Element::Any => true,
            Element::Set(set) => set.holds(byte),
        }
    }
}

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// If a piece of it is too long for the search.
    pub fn new(pattern: &[u8]) -> Result<Pattern, PatternTooComplex> {
        Pattern::read(pattern, |byte| byte, ByteSet::clone)
    }

    /// Parses a pattern that ignores the case of ASCII letters.
    ///
    /// # Errors
    /// As [`Pattern::new`].
    pub fn ignoring_case(pattern: &[u8]) -> Result<Pattern, PatternTooComplex> {
        Pattern::read(pattern, |byte| byte.to_ascii_lowercase(), |set| set.unfolded())
    }

    fn read(
        pattern: &[u8],
        fold: impl Fn(u8) -> u8 + Copy,
        unfold: impl Fn(&ByteSet) -> ByteSet,
    ) -> Result<Pattern, PatternTooComplex> {
        let mut pieces = Vec::new();
        let mut elements = Vec::new();
        let mut rest = pattern;
        let byte = |byte: u8| {
            let mut set = ByteSet::default();
            set.insert(fold(byte));
            let set = unfold(&set);
            if set.0.iter().map(|bits| bits.count_ones()).sum::<u32>() == 1 {
                Element::Byte(byte)
            } else {
                Element::Set(Box::new(set))
            }
        };
        while let Some(&first) = rest.first() {
            let length = match rest {
                [b'*', ..] => {
                    pieces.push(Piece::new(std::mem::take(&mut elements)));
                    1
                }
                [b'?', ..] => {
                    elements.push(Element::Any);
                    1
                }
                [b'[', class @ ..] => {
                    let (set, length) = read_class(class, fold, &unfold);
                    elements.push(Element::Set(Box::new(set)));
                    1 + length
                }
                [b'\\', escaped, ..] => {
                    elements.push(byte(*escaped));
                    2
                }
                _ => {
                    elements.push(byte(first));
                    1
                }
            };
            rest = &rest[length..];
        }
        pieces.push(Piece::new(elements));
        let (last, between) = (pieces.len() - 1, 1);
        let searched = pieces.get(between..last).unwrap_or_default();
        if searched.iter().any(|piece| piece.len() > PIECE_LENGTH_MAX && !piece.is_literal()) {
            return Err(PatternTooComplex);
        }
        // Adjacent stars are one.
        let mut place = 0;
        pieces.retain(|piece| {
            place += 1;
            piece.len() > 0 || place == 1 || place == last + 1
        });
        Ok(Pattern { pieces: pieces.into() })
    }

    /// The bytes with which every text begins that matches, as far as the pattern says them without a sign.
    pub fn literal_prefix(&self) -> Cow<'_, [u8]> {
        match &self.pieces[0] {
            Piece::Literal(bytes) => Cow::Borrowed(bytes),
            Piece::Mixed(elements) => elements.iter().map_while(Element::byte).collect(),
        }
    }

    /// Whether it has no signs, so that only its literal prefix matches.
    pub fn is_literal(&self) -> bool {
        self.pieces.len() == 1 && self.pieces[0].is_literal()
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &[u8]) -> bool {
        let [first, between @ ..] = &*self.pieces else { return false };
        let Some((last, between)) = between.split_last() else {
            return first.len() == text.len() && first.is_at_start(text);
        };
        if text.len() < first.len() + last.len() || !first.is_at_start(text) {
            return false;
        }
        let (mut text, end) = text[first.len()..].split_at(text.len() - first.len() - last.len());
        if !last.is_at_start(end) {
            return false;
        }
        for piece in between {
            let Some(place) = piece.find(text) else { return false };
            text = &text[place + piece.len()..];
        }
        true
    }
}

impl Piece {
    fn new(elements: Vec<Element>) -> Piece {
        match elements.iter().map(Element::byte).collect() {
            Some(bytes) => Piece::Literal(bytes),
            None => Piece::Mixed(elements.into()),
        }
    }

    fn is_literal(&self) -> bool {
        matches!(self, Piece::Literal(_))
    }

    /// The bytes that it matches.
    fn len(&self) -> usize {
        match self {
            Piece::Literal(bytes) => bytes.len(),
            Piece::Mixed(elements) => elements.len(),
        }
    }

    /// Whether it matches the start of `text`, which is no shorter.
    fn is_at_start(&self, text: &[u8]) -> bool {
        match self {
            Piece::Literal(bytes) => text.starts_with(bytes),
            Piece::Mixed(elements) => elements.iter().zip(text).all(|(element, byte)| element.holds(*byte)),
        }
    }

    /// The first place where it matches.
    fn find(&self, text: &[u8]) -> Option<usize> {
        let elements = match self {
            Piece::Literal(bytes) => return memmem::find(text, bytes),
            Piece::Mixed(elements) => elements,
        };
        let mut steps = 0;
        for (start, rest) in text.windows(elements.len()).enumerate() {
            let matched =
                elements.iter().zip(rest).take_while(|(element, byte)| element.holds(**byte)).count();
            if matched == elements.len() {
                return Some(start);
            }
            steps += matched;
            if steps > STEPS_PER_BYTE * text.len() {
                return find_in_parallel(elements, &text[start + 1..]).map(|place| start + 1 + place);
            }
        }
        None
    }
}

/// The first place where `elements`, at least one, match.  One pass over `text` follows all places where a match may have
/// begun, with a bit for each.
fn find_in_parallel(elements: &[Element], text: &[u8]) -> Option<usize> {
    let words = elements.len().div_ceil(64);
    let mut masks = vec![0u64; words << 8];
    for (place, element) in elements.iter().enumerate() {
        for byte in (0..=u8::MAX).filter(|&byte| element.holds(byte)) {
            masks[usize::from(byte) * words + place / 64] |= 1 << (place % 64);
        }
    }
    let mut begun = vec![0u64; words];
    let last = elements.len() - 1;
    for (at, &byte) in text.iter().enumerate() {
        let mut carried = 1;
        for (bits, mask) in begun.iter_mut().zip(&masks[usize::from(byte) * words..]) {
            let next = *bits >> 63;
            *bits = (*bits << 1 | carried) & mask;
            carried = next;
        }
        if begun[last / 64] >> (last % 64) & 1 == 1 {
            return Some(at - last);
        }
    }
    None
}

/// The set of the class that `pattern` begins with (behind its `[`), and where the class ends.
fn read_class(
    pattern: &[u8],
    fold: impl Fn(u8) -> u8,
    unfold: impl Fn(&ByteSet) -> ByteSet,
) -> (ByteSet, usize) {
    let mut set = ByteSet::default();
    let (inverted, length) = visit_class(pattern, |one, other| {
        for byte in fold(one)..=fold(other) {
            set.insert(byte);
        }
    });
    let set = unfold(&set);
    (if inverted { set.inverted() } else { set }, length)
}

/// Whether all of `text` matches `pattern`.  The cost is at most the product of both lengths.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut pattern_at, mut text_at) = (0, 0);
    // Only the last star is ever retried.
    let mut retry = None;
    while text_at < text.len() {
        if pattern.get(pattern_at) == Some(&b'*') {
            pattern_at += 1;
            retry = Some((pattern_at, text_at));
            continue;
        }
        if let Some(length) = match_one(&pattern[pattern_at..], text[text_at]) {
            pattern_at += length;
            text_at += 1;
            continue;
        }
        let Some((after_star, star_text_at)) = retry else { return false };
        pattern_at = after_star;
        text_at = star_text_at + 1;
        retry = Some((after_star, text_at));
    }
    pattern[pattern_at..].iter().all(|&byte| byte == b'*')
}

/// How many bytes of `pattern` match `byte`, or None if they do not.
fn match_one(pattern: &[u8], byte: u8) -> Option<usize> {
    let (matched, length) = match pattern {
        [] => (false, 0),
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let mut found = false;
            let (inverted, length) = visit_class(class, |one, other| found |= (one..=other).contains(&byte));
            (found != inverted, 1 + length)
        }
        [b'\\', escaped, ..] => (*escaped == byte, 2),
        [literal, ..] => (*literal == byte, 1),
    };
    matched.then_some(length)
}

/// Visits the ranges of the class that `pattern` begins with (behind its `[`).  Returns whether it is inverted and where it
/// ends.
fn visit_class(pattern: &[u8], mut visit: impl FnMut(u8, u8)) -> (bool, usize) {
    let inverted = pattern.first() == Some(&b'^');
    let mut at = usize::from(inverted);
    loop {
        match pattern[at..] {
            [] => break,
            [b'\\', escaped, ..] => {
                visit(escaped, escaped);
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [one, b'-', other, ..] => {
                visit(one.min(other), one.max(other));
                at += 3;
            }
            [literal, ..] => {
                visit(literal, literal);
                at += 1;
            }
        }
    }
    (inverted, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by plain recursion with one rule per line, exponential in the worst case.
    fn naive(pattern: &[u8], text: &[u8]) -> bool {
        match (pattern, text) {
            ([], _) => text.is_empty(),
            ([b'*', rest @ ..], _) => (0..=text.len()).any(|skipped| naive(rest, &text[skipped..])),
            (_, []) => false,
            ([b'?', rest @ ..], [_, text @ ..]) => naive(rest, text),
            ([b'[', class @ ..], [byte, text @ ..]) => {
                let (members, inverted, rest) = naive_class(class);
                members.contains(byte) != inverted && naive(rest, text)
            }
            ([b'\\', escaped, rest @ ..], [byte, text @ ..]) => escaped == byte && naive(rest, text),
            ([literal, rest @ ..], [byte, text @ ..]) => literal == byte && naive(rest, text),
        }
    }

    /// The members of a class as a list, whether it is inverted, and the rest of the pattern.
    fn naive_class(class: &[u8]) -> (Vec<u8>, bool, &[u8]) {
        let (inverted, mut class) = match class {
            [b'^', rest @ ..] => (true, rest),
            _ => (false, class),
        };
        let mut members = Vec::new();
        loop {
            class = match class {
                [] => return (members, inverted, class),
                [b'\\', escaped, rest @ ..] => {
                    members.push(*escaped);
                    rest
                }
                [b']', rest @ ..] => return (members, inverted, rest),
                [one, b'-', other, rest @ ..] => {
                    members.extend(*one..=*other);
                    members.extend(*other..=*one);
                    rest
                }
                [literal, rest @ ..] => {
                    members.push(*literal);
                    rest
                }
            };
        }
    }

    fn read(pattern: &str) -> Pattern {
        Pattern::new(pattern.as_bytes()).expect("it is short")
    }

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern:?} on {text:?}");
        assert_eq!(read(pattern).matches(text.as_bytes()), expected, "{pattern:?} on {text:?}");
    }

    #[test]
    fn each_sign_means_the_same_as_in_redis() {
        check("", "", true);
        check("*", "", true);
        check("*", "anything", true);
        check("h?llo", "hello", true);
        check("h?llo", "hllo", false);
        check("h*llo", "heeeello", true);
        check("h[ae]llo", "hallo", true);
        check("h[ae]llo", "hillo", false);
        check("h[^e]llo", "hallo", true);
        check("h[^e]llo", "hello", false);
        check("h[a-b]llo", "hbllo", true);
        check("h[b-a]llo", "hallo", true);
        check(r"h\*llo", "h*llo", true);
        check(r"h\*llo", "hello", false);
        check(r"[\]]", "]", true);
        check("[abc", "c", true);
        check("[", "[", false);
        check("[^", "x", true);
        check("a\\", "a\\", true);
        check("user:*:name", "user:17:name", true);
        check("a*b*c", "abcbc", true);
        check("news.*", "news", false);
    }

    #[test]
    fn the_literal_prefix_ends_before_the_first_sign() {
        let check = |pattern: &str, prefix: &str, is_literal: bool| {
            let pattern = read(pattern);
            let found =
                (String::from_utf8_lossy(&pattern.literal_prefix()).into_owned(), pattern.is_literal());
            assert_eq!(found, (prefix.to_owned(), is_literal), "{pattern:?}");
        };
        check("", "", true);
        check("news", "news", true);
        check("news.*", "news.", false);
        check("*", "", false);
        check("n?ws*", "n", false);
        check("ne[w]s", "ne", false);
        check(r"\$a\*b*", "$a*b", false);
        check(r"a\", "a\\", true);
        check("a[", "a", false);
    }

    #[test]
    fn case_is_ignored_where_asked() {
        let matches =
            |pattern: &[u8], text: &[u8]| Pattern::ignoring_case(pattern).expect("it is short").matches(text);
        assert!(matches(b"MAX[A-M]*", b"maxmemory"));
        assert!(matches(b"max\\Memory", b"MAXMEMORY"));
        assert!(matches(b"[^A]x", b"bX"));
        assert!(!matches(b"[^A]x", b"aX"));
        assert!(!read("MAX*").matches(b"maxmemory"));
    }

    /// A plain search takes the product of both lengths for each of these, some thousand million steps.
    #[test]
    fn no_pattern_makes_a_text_expensive() {
        let text = b"a".repeat(400_000);
        for (pattern, expected) in [
            ([b"a*".repeat(10_000), b"b".to_vec()].concat(), false),
            ([&b"*"[..], &b"a".repeat(100_000), b"b*"].concat(), false),
            ([&b"*"[..], &b"a?".repeat(1_000), b"b*"].concat(), false),
            ([&b"*"[..], &b"[^b]".repeat(PIECE_LENGTH_MAX - 1), b"[b]*"].concat(), false),
            ([&b"*["[..], &b"b".repeat(400_000), b"]*"].concat(), false),
            ([&b"*["[..], &b"ba".repeat(200_000), b"]*"].concat(), true),
            ([&b"*a["[..], &b"[a".repeat(200_000), b"]a"].concat(), true),
        ] {
            let pattern = Pattern::new(&pattern).expect("its pieces are short");
            assert_eq!(pattern.matches(&text), expected);
        }
    }

    #[test]
    fn a_piece_too_long_for_the_search_is_refused() {
        let piece = b"?".repeat(PIECE_LENGTH_MAX);
        assert!(Pattern::new(&[b"*", &piece[..], b"*"].concat()).is_ok());
        assert!(Pattern::new(&[b"*", &piece[..], b"?*"].concat()).is_err());
        // A piece that can match at one place only may have any length.
        let anchored =
            Pattern::new(&[&piece[..], b"?*", &piece, b"?"].concat()).expect("it is not searched for");
        assert!(anchored.matches(&b"a".repeat(2 * PIECE_LENGTH_MAX + 2)));
        assert!(!anchored.matches(&b"a".repeat(2 * PIECE_LENGTH_MAX + 1)));
    }

    #[test]
    fn all_places_are_followed_together() {
        fn elements(text: &str) -> Vec<Element> {
            text.bytes().map(|byte| if byte == b'?' { Element::Any } else { Element::Byte(byte) }).collect()
        }
        for (piece, text) in
            [("ab", "aab"), ("a?b", "aaab"), ("b", "aab"), ("ab", "ba"), ("aa", "a"), ("a", "")]
        {
            let found = (0..text.len())
                .find(|start| naive(&[piece.as_bytes(), b"*"].concat(), &text.as_bytes()[*start..]));
            assert_eq!(find_in_parallel(&elements(piece), text.as_bytes()), found, "{piece} in {text}");
        }
        let long = elements(&format!("{}b", "a".repeat(200)));
        assert_eq!(find_in_parallel(&long, &[b"a".repeat(300), b"b".to_vec()].concat()), Some(100));
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(pattern in r"[ab*?\[\]^\\-]{0,9}", text in r"[ab\]\[^\\*-]{0,7}") {
            let expected = naive(pattern.as_bytes(), text.as_bytes());
            prop_assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected);
            prop_assert_eq!(read(&pattern).matches(text.as_bytes()), expected);
        }

        #[test]
        fn a_literal_matches_itself_alone(text in "[a-z]{0,9}", other in "[a-z]{0,9}") {
            prop_assert_eq!(matches(text.as_bytes(), other.as_bytes()), text == other);
        }
    }
}
