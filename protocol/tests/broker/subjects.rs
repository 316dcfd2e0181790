//! Subjects and patterns, against all short texts of a small alphabet.

use quartet_protocol::broker::subject::{
    covers, first_token, has_wildcard, is_hidden, is_literal, is_system, is_valid_pattern, is_valid_subject,
    matches, overlaps, tokens,
};

/// All rows of up to `longest` tokens of `alphabet`.
fn rows(alphabet: &[&str], longest: usize) -> Vec<String> {
    let mut rows: Vec<String> = alphabet.iter().map(|token| token.to_string()).collect();
    let mut start = 0;
    for _ in 1..longest {
        let end = rows.len();
        for row in start..end {
            rows.extend(alphabet.iter().map(|token| rows[row].clone() + "." + token).collect::<Vec<_>>());
        }
        start = end;
    }
    rows
}

/// What matches, said in the way of the manual.
fn matches_by_tokens(pattern: &[&str], subject: &[&str]) -> bool {
    match (pattern, subject) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        ([wanted, pattern @ ..], [token, subject @ ..]) => {
            (*wanted == "*" || wanted == token) && matches_by_tokens(pattern, subject)
        }
        _ => false,
    }
}

#[test]
fn what_matches_covers_and_overlaps_is_what_the_subjects_say() {
    // One token more than the patterns have, and one letter that they do not name.
    let subjects = rows(&["a", "b", "c"], 4);
    let patterns = rows(&["a", "b", "*", ">"], 3);
    let patterns: Vec<_> =
        patterns.into_iter().filter(|pattern| is_valid_pattern(pattern.as_bytes())).collect();
    let split = |text: &'static str| text.split('.').collect::<Vec<_>>();
    let subjects: Vec<_> = subjects.into_iter().map(|subject| &*subject.leak()).collect();
    let matched: Vec<Vec<bool>> = patterns
        .iter()
        .map(|pattern| {
            let pattern: &'static str = pattern.clone().leak();
            let matched = subjects.iter().map(|&subject| {
                let matched = matches_by_tokens(&split(pattern), &split(subject));
                assert_eq!(matches(pattern.as_bytes(), subject.as_bytes()), matched, "{pattern} {subject}");
                matched
            });
            matched.collect()
        })
        .collect();
    for (wide, wide_matched) in patterns.iter().zip(&matched) {
        for (narrow, narrow_matched) in patterns.iter().zip(&matched) {
            let mut both = wide_matched.iter().zip(narrow_matched);
            let is_covered = both.clone().all(|(wide, narrow)| *wide || !narrow);
            let overlap = both.any(|(wide, narrow)| *wide && *narrow);
            let (wide, narrow) = (wide.as_bytes(), narrow.as_bytes());
            let names = || format!("{} {}", wide.escape_ascii(), narrow.escape_ascii());
            assert_eq!(covers(wide, narrow), is_covered, "{}", names());
            assert_eq!(overlaps(wide, narrow), overlap, "{}", names());
        }
    }
}

#[test]
fn texts_are_valid_if_each_token_is() {
    let letters = ["a", ".", "*", ">", " ", "\x01", "\x7f", "é"];
    let mut texts = vec![String::new()];
    for start in 0..letters.len().pow(5) {
        let Some(text) = texts.get(start).filter(|text| text.chars().count() < 5).cloned() else { break };
        texts.extend(letters.iter().map(|letter| text.clone() + letter));
    }
    assert_eq!(texts.len(), (0..=5).map(|length| letters.len().pow(length)).sum::<usize>());
    for text in &texts {
        let tokens: Vec<&str> = text.split('.').collect();
        let is_token = |token: &&str| !token.is_empty() && !token.contains([' ', '\x01', '\x7f']);
        let is_valid = tokens.iter().all(is_token);
        let is_pattern = is_valid && !tokens[..tokens.len() - 1].contains(&">");
        let is_wild = tokens.iter().any(|token| ["*", ">"].contains(token));
        let text = text.as_bytes();
        assert_eq!(is_valid_subject(text), is_valid, "{}", text.escape_ascii());
        assert_eq!(is_valid_pattern(text), is_pattern, "{}", text.escape_ascii());
        assert_eq!(has_wildcard(text), is_wild, "{}", text.escape_ascii());
        assert_eq!(is_literal(text), is_valid && !is_wild, "{}", text.escape_ascii());
    }
}

#[test]
fn wildcards_of_a_published_subject_are_tokens_like_others() {
    assert!(matches(b"a.*", b"a.*") && matches(b"a.*", b"a.>") && matches(b"a.>", b"a.>.b"));
    assert!(!matches(b"a.b", b"a.*") && !matches(b"a.b", b"a.>"));
}

#[test]
fn subjects_of_the_server_are_known_by_their_first_token() {
    for (subject, system) in
        [("$SYS.ACCOUNT", true), ("$SYS.", true), ("$SYS", false), ("$SYSTEM.x", false), ("a.$SYS.b", false)]
    {
        assert_eq!(is_system(subject.as_bytes()), system, "{subject}");
    }
}

#[test]
fn hidden_subjects_are_known_by_their_first_token() {
    for (subject, hidden) in [
        ("$JS.API.INFO", true),
        ("$", true),
        ("$x", true),
        ("_INBOX", true),
        ("_INBOX.abc", true),
        ("_INBOXES.abc", false),
        ("_INBO", false),
        ("_inbox.abc", false),
        ("a.$JS", false),
        ("a._INBOX", false),
        ("*", false),
        ("", false),
    ] {
        assert_eq!(is_hidden(subject.as_bytes()), hidden, "{subject}");
    }
}

#[test]
fn tokens_stand_between_full_stops() {
    assert_eq!(tokens(b"a.bc.d").collect::<Vec<_>>(), [&b"a"[..], b"bc", b"d"]);
    assert_eq!(tokens(b"").collect::<Vec<_>>(), [b""]);
    assert_eq!(
        (first_token(b"ab.c"), first_token(b"ab"), first_token(b"")),
        (&b"ab"[..], &b"ab"[..], &b""[..])
    );
}
