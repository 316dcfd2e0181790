//! Arguments as a transcript writes them, in the quoting of Redis' inline commands, and as requests carry them.

/// Splits a line into arguments: words, `"…"` with the escapes `\n \r \t \a \b \\ \" \xHH`, and `'…'` with `\'`.
pub(crate) fn split(line: &str) -> Result<Vec<Vec<u8>>, String> {
    let mut arguments = Vec::new();
    let mut rest = line.as_bytes();
    loop {
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Ok(arguments);
        }
        let (argument, after) = match rest[0] {
            b'"' => double_quoted(&rest[1..])?,
            b'\'' => single_quoted(&rest[1..])?,
            _ => {
                let end = rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len());
                (rest[..end].to_vec(), &rest[end..])
            }
        };
        if after.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
            return Err(format!("a closing quote must be followed by a blank: {line}"));
        }
        arguments.push(argument);
        rest = after;
    }
}

fn double_quoted(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let mut argument = Vec::new();
    loop {
        match rest {
            [] => return Err("a double quote is not closed".to_owned()),
            [b'"', after @ ..] => return Ok((argument, after)),
            [b'\\', b'x', high, low, after @ ..] => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).map_err(|error| error.to_string())?;
                argument.push(u8::from_str_radix(digits, 16).map_err(|error| error.to_string())?);
                rest = after;
            }
            [b'\\', letter, after @ ..] => {
                argument.push(match letter {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                argument.push(*byte);
                rest = after;
            }
        }
    }
}

fn single_quoted(mut rest: &[u8]) -> Result<(Vec<u8>, &[u8]), String> {
    let mut argument = Vec::new();
    loop {
        match rest {
            [] => return Err("a single quote is not closed".to_owned()),
            [b'\'', after @ ..] => return Ok((argument, after)),
            [b'\\', b'\'', after @ ..] => {
                argument.push(b'\'');
                rest = after;
            }
            [byte, after @ ..] => {
                argument.push(*byte);
                rest = after;
            }
        }
    }
}

/// Appends the request with these arguments, as an array of bulk strings.
pub(crate) fn encode(arguments: &[Vec<u8>], request: &mut Vec<u8>) {
    request.extend_from_slice(format!("*{}\r\n", arguments.len()).as_bytes());
    for argument in arguments {
        request.extend_from_slice(format!("${}\r\n", argument.len()).as_bytes());
        request.extend_from_slice(argument);
        request.extend_from_slice(b"\r\n");
    }
}

/// Bytes between double quotes, as [`split`] reads them.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let mut quoted = String::from("\"");
    for &byte in bytes {
        match byte {
            b'\\' | b'"' => quoted.extend(['\\', char::from(byte)]),
            b'\n' => quoted.push_str("\\n"),
            b'\r' => quoted.push_str("\\r"),
            b'\t' => quoted.push_str("\\t"),
            7 => quoted.push_str("\\a"),
            8 => quoted.push_str("\\b"),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

#[test]
fn quoting_is_read_back() {
    let every_byte: Vec<u8> = (0..=255).collect();
    assert_eq!(split(&quote(&every_byte)), Ok(vec![every_byte]));
    assert_eq!(
        split(r#"SET 'a\'b' "" x"#),
        Ok(vec![b"SET".to_vec(), b"a'b".to_vec(), vec![], b"x".to_vec()])
    );
    assert!(split("\"open").is_err());
    assert!(split("\"a\"b").is_err());
}
