//! The text of INFO while it is written.

use std::fmt::{Display, Write};

/// Headings and fields, in lines that end as the protocol's do.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Begins a section.
    pub fn heading(&mut self, heading: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\r\n");
        }
        self.line(format_args!("# {heading}"));
    }

    /// Adds a field.
    pub fn field(&mut self, name: &str, value: impl Display) {
        self.line(format_args!("{name}:{value}"));
    }

    /// Adds a number of bytes, and the same again for people.
    pub fn bytes(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.line(format_args!("{name}_human:{}", human_bytes(bytes)));
    }

    /// Adds fields whose value is zero here always.
    pub fn zeros(&mut self, names: &[&str]) {
        for name in names {
            self.field(name, 0);
        }
    }

    /// What has been written.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        write!(self.text, "{line}\r\n").expect("a string takes everything");
    }
}

/// A number of bytes as INFO shows it to people.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: &[&str] = &["K", "M", "G", "T", "P", "E"];
    if bytes < 1024 {
        return format!("{bytes}B");
    }
    let mut amount = bytes as f64 / 1024.0;
    let mut units = UNITS.iter();
    let mut unit = units.next().expect("there are units");
    for larger in units {
        if amount < 1024.0 {
            break;
        }
        amount /= 1024.0;
        unit = larger;
    }
    format!("{amount:.2}{unit}")
}

#[cfg(test)]
mod tests {
    use super::human_bytes;

    #[test]
    fn bytes_for_people() {
        let cases = [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.00K"),
            (1_163_272, "1.11M"),
            (25_276_510_208, "23.54G"),
            (u64::MAX, "16.00E"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(human_bytes(bytes), expected);
        }
    }
}
