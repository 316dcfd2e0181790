//! The notation in which rows write down arguments, and what follows from it.

/// How many arguments a syntax requires, and whether that is also the most it takes.
///
/// Words are separated by blanks; `[…]` is optional, `<A | B>` a required choice, `...` repeats what comes before.
pub fn argument_count(syntax: &str) -> (i32, bool) {
    let mut required = 0;
    let mut fixed = true;
    let mut depth = 0;
    let mut choice: Option<(i32, i32)> = None;
    for word in spaced(syntax).split_whitespace() {
        match word {
            "[" => {
                depth += 1;
                fixed = false;
            }
            "]" => depth -= 1,
            "<" if depth == 0 => choice = Some((i32::MAX, 0)),
            ">" if depth == 0 => {
                let (least, last) = choice.take().unwrap_or_default();
                fixed &= least == i32::MAX || least == last;
                required += least.min(last);
            }
            "|" if depth == 0 => {
                if let Some((least, current)) = choice {
                    choice = Some((least.min(current), 0));
                }
            }
            "..." => fixed = false,
            _ if depth > 0 => {}
            _ => match &mut choice {
                Some((_, current)) => *current += 1,
                None => required += 1,
            },
        }
    }
    (required, fixed)
}

/// The syntax with blanks around its marks.
fn spaced(syntax: &str) -> String {
    let mut spaced = String::with_capacity(syntax.len() * 2);
    for character in syntax.chars() {
        if "[]<>|".contains(character) {
            spaced.extend([' ', character, ' ']);
        } else {
            spaced.push(character);
        }
    }
    spaced
}

#[cfg(test)]
mod tests {
    use super::argument_count;

    #[test]
    fn counts_required_arguments() {
        let cases = [
            ("", (0, true)),
            ("key", (1, true)),
            ("key value", (2, true)),
            ("key [key ...]", (1, false)),
            ("key value [key value ...]", (2, false)),
            ("key seconds [NX | XX | GT | LT]", (2, false)),
            ("<ON | OFF | SKIP>", (1, true)),
            ("key <EX seconds | PERSIST>", (2, false)),
        ];
        for (syntax, expected) in cases {
            assert_eq!(argument_count(syntax), expected, "{syntax}");
        }
    }
}
