//! Which arguments of a command are secrets: what SLOWLOG and MONITOR show of a command hides them.
//!
//! A secret is found by its place, as the command itself reads it: a name or a value may spell like an option.

use quartet_protocol::resp::Arguments;

use crate::settings::is_secret;

/// What is shown instead of a secret.
pub const REDACTED: &[u8] = b"(redacted)";

/// The arguments of the command with this full name, such as `config|set`, as others may see them.
pub fn shown<'a>(name: &str, arguments: Arguments<'a>) -> Vec<&'a [u8]> {
    let mut words: Vec<&[u8]> = arguments.iter().collect();
    match name {
        "auth" => hide(&mut words, 1..),
        "hello" => hide_hello(&mut words),
        "config|set" => {
            for pair in words.get_mut(2..).unwrap_or_default().chunks_mut(2) {
                if is_secret(pair[0]) {
                    hide(pair, 1..);
                }
            }
        }
        "acl|setuser" => hide(&mut words, 2..),
        _ => {}
    }
    words
}

/// `HELLO version [AUTH user password] [SETNAME name]`.  What follows a word that is neither option may be a mistyped
/// one's password.
fn hide_hello(words: &mut [&[u8]]) {
    // Who forgets the version begins with an option.
    let mut at = if words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"AUTH")) { 1 } else { 2 };
    while let Some(word) = words.get(at) {
        if word.eq_ignore_ascii_case(b"SETNAME") {
            at += 2;
        } else if word.eq_ignore_ascii_case(b"AUTH") {
            let end = words.len().min(at + 3);
            hide(&mut words[..end], at + 1..);
            at = end;
        } else {
            return hide(words, at + 1..);
        }
    }
}

fn hide(words: &mut [&[u8]], places: std::ops::RangeFrom<usize>) {
    for word in words.get_mut(places).unwrap_or_default() {
        *word = REDACTED;
    }
}

#[cfg(test)]
mod tests {
    use quartet_protocol::resp::OwnedArguments;

    use super::shown;

    #[test]
    fn secrets_are_hidden_by_their_place() {
        for (request, expected) in [
            ("AUTH pw", "AUTH _"),
            ("AUTH default pw", "AUTH _ _"),
            ("AUTH a b c", "AUTH _ _ _"),
            ("HELLO", "HELLO"),
            ("HELLO 3", "HELLO 3"),
            ("HELLO 3 AUTH default pw", "HELLO 3 AUTH _ _"),
            ("HELLO 3 auth default pw SETNAME me", "HELLO 3 auth _ _ SETNAME me"),
            ("HELLO 2 SETNAME auth AUTH default pw", "HELLO 2 SETNAME auth AUTH _ _"),
            ("HELLO 2 SETNAME AUTH SETNAME me", "HELLO 2 SETNAME AUTH SETNAME me"),
            ("HELLO 2 AUTH AUTH AUTH AUTH default pw", "HELLO 2 AUTH _ _ AUTH _ _"),
            ("HELLO 2 AUTH default", "HELLO 2 AUTH _"),
            ("HELLO 2 AUHT default pw", "HELLO 2 AUHT _ _"),
            ("HELLO AUTH default pw", "HELLO AUTH _ _"),
            ("HELLO 2 SETNAME", "HELLO 2 SETNAME"),
            ("CONFIG SET requirepass pw", "CONFIG SET requirepass _"),
            ("CONFIG SET maxmemory 1 RequirePass pw", "CONFIG SET maxmemory 1 RequirePass _"),
            ("CONFIG SET requirepass requirepass maxmemory 1", "CONFIG SET requirepass _ maxmemory 1"),
            ("CONFIG SET dir requirepass masterauth pw", "CONFIG SET dir requirepass masterauth _"),
            ("CONFIG SET requirepass", "CONFIG SET requirepass"),
            ("ACL SETUSER bob on >pw", "ACL SETUSER _ _ _"),
            ("SET auth pw", "SET auth pw"),
        ] {
            let words: Vec<&[u8]> = request.split(' ').map(str::as_bytes).collect();
            let owned = OwnedArguments::from_slices(&words);
            let arguments = owned.as_arguments();
            let name = match words[..] {
                [b"CONFIG", b"SET", ..] => "config|set",
                [b"AUTH", ..] => "auth",
                [b"HELLO", ..] => "hello",
                [b"ACL", b"SETUSER", ..] => "acl|setuser",
                _ => "set",
            };
            let shown = shown(name, arguments).join(&b' ');
            let expected = expected.replace('_', "(redacted)");
            assert_eq!(String::from_utf8_lossy(&shown), expected, "{request}");
        }
    }
}
