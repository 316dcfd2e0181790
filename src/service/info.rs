//! INFO: sections of fields, and the text while it is written.

use std::fmt::{Display, Write};

use crate::command::Services;

/// One section of INFO.
pub struct Section {
    /// The name that clients ask for, in lower case.
    pub name: &'static str,
    /// The name that stands above the fields.
    pub heading: &'static str,
    /// See [`Shown`].
    pub shown: Shown,
    /// Writes the fields.
    pub write: fn(&mut Page, &Services),
}

/// When INFO shows a section that the client did not name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// Always.
    ByDefault,
    /// If the client asks for all sections.
    WithAll,
}

impl Section {
    /// A section that is shown by default.
    pub const fn by_default(
        name: &'static str,
        heading: &'static str,
        write: fn(&mut Page, &Services),
    ) -> Section {
        Section { name, heading, shown: Shown::ByDefault, write }
    }

    /// A section that is shown if the client asks for all.
    pub const fn with_all(
        name: &'static str,
        heading: &'static str,
        write: fn(&mut Page, &Services),
    ) -> Section {
        Section { name, heading, shown: Shown::WithAll, write }
    }
}

/// The text while it is written: headings and fields, in lines that end with CR LF.
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

    /// Adds a number of bytes, and the same number in a unit that people read easily.
    pub fn bytes(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.line(format_args!("{name}_human:{}", human_bytes(bytes)));
    }

    /// Adds fields whose value is always zero here.
    pub fn zeros(&mut self, names: &[&str]) {
        for name in names {
            self.field(name, 0);
        }
    }

    /// The text written so far.
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
