//! Headers that are lists (RFC 9110, 5.6.1): on several lines, with blanks around members and empty members between.

use axum::http::{HeaderMap, HeaderName};

/// The members of a header that are not empty, in their order.  A line that is no visible ASCII is left out.
pub fn members<'h>(headers: &'h HeaderMap, name: &'h HeaderName) -> impl Iterator<Item = &'h str> {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| split(line, b','))
}

/// The parts of a text between `separator`s that are not empty, without the blanks around them.  Text in
/// double quotes is not cut.
pub fn split(text: &str, separator: u8) -> impl Iterator<Item = &str> {
    let mut rest = Some(text);
    let parts = std::iter::from_fn(move || {
        let (part, after) = cut(rest?, separator);
        rest = after;
        Some(part.trim_matches([' ', '\t']))
    });
    parts.filter(|part| !part.is_empty())
}

/// The text before the first `separator`, and the text behind it.
fn cut(text: &str, separator: u8) -> (&str, Option<&str>) {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            _ if byte == separator && !is_quoted => return (&text[..at], Some(&text[at + 1..])),
            _ => {}
        }
    }
    (text, None)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderValue, header};

    use super::*;

    #[test]
    fn members_are_what_stands_between_commas() {
        let lines = [r#", a ,,b;q="x, \", y" ,"#, "", " ,\t", "c"].map(HeaderValue::from_static);
        let headers = lines.into_iter().map(|line| (header::ACCEPT, line));
        let headers = headers.fold(HeaderMap::new(), |mut headers, (name, line)| {
            headers.append(name, line);
            headers
        });
        let found: Vec<_> = members(&headers, &header::ACCEPT).collect();
        assert_eq!(found, ["a", r#"b;q="x, \", y""#, "c"]);
        assert_eq!(split(found[1], b';').collect::<Vec<_>>(), ["b", r#"q="x, \", y""#]);
        assert_eq!(split("\"open, never closed", b',').collect::<Vec<_>>(), ["\"open, never closed"]);
    }
}
