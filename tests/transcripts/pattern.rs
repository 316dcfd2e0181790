//! Comparing what was received with golden lines, which may leave open what varies.
//!
//! Within a line `<any>` stands for any text, `<integer>` for an integer and `<5..10>` for an integer in that range.
//! A line `...` stands for any number of lines.

/// Whether the lines received are what the golden lines ask for.
pub(crate) fn lines_match(golden: &[String], received: &[String]) -> bool {
    match golden {
        [] => received.is_empty(),
        [first, rest @ ..] if first.trim_start() == "..." => {
            (0..=received.len()).any(|skipped| lines_match(rest, &received[skipped..]))
        }
        [first, rest @ ..] => match received {
            [line, others @ ..] => line_matches(first, line) && lines_match(rest, others),
            [] => false,
        },
    }
}

/// Whether one line is what the golden line asks for.
pub(crate) fn line_matches(golden: &str, line: &str) -> bool {
    let Some((before, open, after)) = next_pattern(golden) else { return golden == line };
    let Some(rest) = line.strip_prefix(before) else { return false };
    let ends = (0..=rest.len()).filter(|&end| rest.is_char_boundary(end));
    ends.rev().any(|end| open.accepts(&rest[..end]) && line_matches(after, &rest[end..]))
}

enum Open {
    Any,
    Integer(i64, i64),
}

impl Open {
    fn accepts(&self, text: &str) -> bool {
        match self {
            Open::Any => true,
            Open::Integer(low, high) => {
                text.parse::<i64>().is_ok_and(|value| (*low..=*high).contains(&value))
            }
        }
    }
}

/// The first pattern of a golden line, with what stands before and after it.
fn next_pattern(golden: &str) -> Option<(&str, Open, &str)> {
    for (start, _) in golden.match_indices('<') {
        let length = golden[start..].find('>')?;
        let open = match &golden[start + 1..start + length] {
            "any" => Some(Open::Any),
            "integer" => Some(Open::Integer(i64::MIN, i64::MAX)),
            range => range
                .split_once("..")
                .and_then(|(low, high)| Some(Open::Integer(low.parse().ok()?, high.parse().ok()?))),
        };
        if let Some(open) = open {
            return Some((&golden[..start], open, &golden[start + length + 1..]));
        }
    }
    None
}

/// How many replies golden lines stand for: lines that neither continue an aggregate nor leave lines open.
pub(crate) fn reply_count(golden: &[String]) -> usize {
    golden.iter().filter(|line| starts_reply(line)).count()
}

/// Whether a line is the first of a reply.
pub(crate) fn starts_reply(line: &str) -> bool {
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let continues = digits > 0
        && &line[..digits] != "1"
        && [") ", "# ", "~ "].iter().any(|mark| line[digits..].starts_with(mark));
    !line.starts_with(' ') && line != "..." && line != "(closed)" && !continues
}

#[test]
fn golden_lines_leave_open_what_varies() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let cases = [
        ("OK", "OK", true),
        ("(integer) <integer>", "(integer) -5", true),
        ("(integer) <integer>", "(integer) ", false),
        ("(integer) <90..100>", "(integer) 99", true),
        ("(integer) <90..100>", "(integer) 101", false),
        ("\"id=<integer> addr=<any> name=\"", "\"id=7 addr=x name=\"", true),
        ("<id> <any>", "<id> x", true),
        ("1) \"a\"\n...\n9) \"z\"", "1) \"a\"\n2) \"b\"\n9) \"z\"", true),
        ("1) \"a\"\n...", "1) \"a\"", true),
        ("1) \"a\"", "1) \"a\"\n2) \"b\"", false),
    ];
    for (golden, received, expected) in cases {
        assert_eq!(lines_match(&lines(golden), &lines(received)), expected, "{golden} and {received}");
    }
    assert_eq!(
        reply_count(&lines(
            "OK\n1) 1) \"a\"\n   2) \"b\"\n2) \"c\"\n1# \"k\" => (nil)\n2# \"l\" => (nil)\n(nil)\n(closed)"
        )),
        4
    );
}
