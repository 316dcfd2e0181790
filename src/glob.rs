//! Glob patterns as KEYS, SCAN, PSUBSCRIBE and CONFIG GET mean them.
//!
//! `*` any bytes, `?` one byte, `[a-z]` one of these, `[^a-z]` none of these, `\x` the byte x itself.  What
//! Redis accepts is accepted: a class that is never closed ends with the pattern, and a range may run
//! backwards.  Only the last `*` seen is ever retried, so the cost is at most the product of both lengths,
//! whatever the pattern.

/// Whether all of `text` matches `pattern`.
pub fn matches(pattern: &[u8], text: &[u8]) -> bool {
    matches_folded(pattern, text, |byte| byte)
}

/// Whether all of `text` matches `pattern` when ASCII letters are equal in both cases.
pub fn matches_ignoring_case(pattern: &[u8], text: &[u8]) -> bool {
    matches_folded(pattern, text, |byte| byte.to_ascii_lowercase())
}

fn matches_folded(pattern: &[u8], text: &[u8], fold: impl Fn(u8) -> u8 + Copy) -> bool {
    let (mut pattern_at, mut text_at) = (0, 0);
    let mut retry = None;
    while text_at < text.len() {
        if pattern.get(pattern_at) == Some(&b'*') {
            pattern_at += 1;
            retry = Some((pattern_at, text_at));
            continue;
        }
        if let Some(length) = match_one(&pattern[pattern_at..], text[text_at], fold) {
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

/// How many bytes of `pattern` matched `byte`, or None where they do not.
fn match_one(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8 + Copy) -> Option<usize> {
    let (matched, length) = match pattern {
        [] => (false, 0),
        [b'?', ..] => (true, 1),
        [b'[', class @ ..] => {
            let (matched, length) = match_class(class, byte, fold);
            (matched, 1 + length)
        }
        [b'\\', escaped, ..] => (fold(*escaped) == fold(byte), 2),
        [literal, ..] => (fold(*literal) == fold(byte), 1),
    };
    matched.then_some(length)
}

/// Whether `byte` is in the class that `pattern` begins with (behind its `[`), and where the class ends.
fn match_class(pattern: &[u8], byte: u8, fold: impl Fn(u8) -> u8) -> (bool, usize) {
    let byte = fold(byte);
    let inverted = pattern.first() == Some(&b'^');
    let mut at = usize::from(inverted);
    let mut found = false;
    loop {
        match pattern[at..] {
            [] => break,
            [b'\\', escaped, ..] => {
                found |= fold(escaped) == byte;
                at += 2;
            }
            [b']', ..] => {
                at += 1;
                break;
            }
            [one, b'-', other, ..] => {
                let (one, other) = (one.min(other), one.max(other));
                found |= (fold(one)..=fold(other)).contains(&byte);
                at += 3;
            }
            [literal, ..] => {
                found |= fold(literal) == byte;
                at += 1;
            }
        }
    }
    (found != inverted, at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by plain recursion, one rule a line, exponential in the worst case.
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

    /// The members of a class as a list, whether it is inverted, and what follows it.
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

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(matches(pattern.as_bytes(), text.as_bytes()), expected, "{pattern:?} on {text:?}");
    }

    #[test]
    fn each_sign_means_what_redis_says() {
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
    fn case_is_ignored_where_asked() {
        assert!(matches_ignoring_case(b"MAX[A-M]*", b"maxmemory"));
        assert!(matches_ignoring_case(b"max\\Memory", b"MAXMEMORY"));
        assert!(!matches(b"MAX*", b"maxmemory"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = [b"a*".repeat(1_000), b"b".to_vec()].concat();
        assert!(!matches(&pattern, &b"a".repeat(10_000)));
    }

    proptest! {
        #[test]
        fn agrees_with_the_naive_twin(pattern in r"[ab*?\[\]^\\-]{0,9}", text in r"[ab\]\[^\\*-]{0,7}") {
            prop_assert_eq!(
                matches(pattern.as_bytes(), text.as_bytes()),
                naive(pattern.as_bytes(), text.as_bytes())
            );
        }

        #[test]
        fn a_literal_matches_itself_alone(text in "[a-z]{0,9}", other in "[a-z]{0,9}") {
            prop_assert_eq!(matches(text.as_bytes(), other.as_bytes()), text == other);
        }
    }
}
