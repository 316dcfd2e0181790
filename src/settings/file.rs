//! The TOML file of settings.  Its keys are names of the table, and its only sections are users and those of the rate
//! limiter.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::kind::{SettingKind, Value};
use super::source::{Given, Source, Stop, invalid};
use super::suggest::did_you_mean;
use super::table::{SETTINGS, Setting, find};
use super::users;

/// A file of settings has a few kilobytes; a larger one is some other file.
const FILE_LENGTH_MAX: u64 = 1 << 20;

/// The section with the policies of the rate limiter, which reads it itself.
const POLICIES: &str = "limits";

/// The settings in the file at `path`.
pub(super) fn read(path: &Path) -> Result<Vec<Given>, Stop> {
    let source = Source::File { path: path.display().to_string(), line: None };
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(FILE_LENGTH_MAX + 1).read_to_string(&mut text))
        .map_err(|error| invalid(&source, &format!("cannot be read: {error}")))?;
    if text.len() as u64 > FILE_LENGTH_MAX {
        return Err(invalid(&source, &format!("is larger than {FILE_LENGTH_MAX} bytes")));
    }
    parse(&path.display().to_string(), &text)
}

/// The settings in `text`, in the order of the file.
pub(super) fn parse(path: &str, text: &str) -> Result<Vec<Given>, Stop> {
    let source_at = |at: usize| Source::File {
        path: path.to_owned(),
        line: Some(1 + text.as_bytes()[..at].iter().filter(|&&byte| byte == b'\n').count()),
    };
    let table = DeTable::parse(text).map_err(|error| {
        let source = source_at(error.span().map_or(0, |span| span.start.min(text.len())));
        invalid(&source, error.message())
    })?;
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
        .into_iter()
        .filter(|(key, value)| key.get_ref() != POLICIES || !matches!(value.get_ref(), DeValue::Table(_)))
        .map(|(key, value)| {
            let source = source_at(key.span().start);
            let row = row(&source, key.get_ref())?;
            let value = match row.kind {
                SettingKind::Users => users::parse(value)
                    .map(|users| Value::text(&Arc::from(users)))
                    .map_err(|fault| invalid(&source_at(fault.at), &fault.reason)),
                _ => value_of(&source, row, value.get_ref()),
            }?;
            Ok(Given { source, row, value })
        })
        .collect()
}

fn row(source: &Source, name: &str) -> Result<&'static Setting, Stop> {
    if name == "config" {
        return Err(invalid(source, "config is no setting in a file: one file cannot name another"));
    }
    find(name).filter(|row| row.name == name).ok_or_else(|| {
        let suggestion = did_you_mean(name, SETTINGS.iter().map(|row| row.name));
        invalid(source, &format!("{} is no setting{suggestion}", name.escape_debug()))
    })
}

fn value_of(source: &Source, row: &Setting, value: &DeValue<'_>) -> Result<String, Stop> {
    let value = match value {
        DeValue::Array(items) if row.kind.is_list() => {
            let items: Option<Vec<String>> = items.iter().map(|item| scalar(item.get_ref())).collect();
            items.map(|items| items.join(" "))
        }
        value => scalar(value),
    };
    value.ok_or_else(|| {
        let (name, allowed) = (row.name, row.kind.allowed());
        invalid(source, &format!("the value of {name} is no single value; allowed is {allowed}"))
    })
}

/// A value as a flag would spell it, or None if no flag could.
fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(integer) => {
            let number = i64::from_str_radix(integer.as_str(), integer.radix());
            Some(number.map_or_else(|_| integer.as_str().to_owned(), |number| number.to_string()))
        }
        DeValue::Boolean(true) => Some("yes".to_owned()),
        DeValue::Boolean(false) => Some("no".to_owned()),
        DeValue::Float(float) => Some(float.as_str().to_owned()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<&[(&str, &str)], &str>) {
        let given = parse("q.toml", text)
            .map(|given| given.into_iter().map(|given| (given.row.name, given.value)).collect::<Vec<_>>());
        let expected = expected
            .map(|pairs| pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect::<Vec<_>>())
            .map_err(|line| Stop::Invalid(line.to_owned()));
        assert_eq!(given, expected);
    }

    #[test]
    fn values_are_written_as_in_flags() {
        check(
            "timeout = 1_0\nport = \"off\"\nlatency-tracking = false\nhttp-port = [8080, 0x50]\n\
             bind = [\"127.0.0.1\", \"::1\"]\nmaxmemory = '1gb' # enough\n",
            Ok(&[
                ("timeout", "10"),
                ("port", "off"),
                ("latency-tracking", "no"),
                ("http-port", "8080 80"),
                ("bind", "127.0.0.1 ::1"),
                ("maxmemory", "1gb"),
            ]),
        );
        check("", Ok(&[]));
    }

    #[test]
    fn an_unknown_setting_is_refused_with_its_line() {
        check(
            "\n\nmaxmemroy = 1",
            Err("file q.toml, line 3: maxmemroy is no setting; did you mean maxmemory?"),
        );
        check("[cache]\nmaxmemory = 1", Err("file q.toml, line 1: cache is no setting"));
        check(
            "dir = ['a']",
            Err(
                "file q.toml, line 1: the value of dir is no single value; allowed is a path, or \"\" for none",
            ),
        );
        check(
            "config = 'x'",
            Err("file q.toml, line 1: config is no setting in a file: one file cannot name another"),
        );
        check("port = 1\nport = 2", Err("file q.toml, line 2: duplicate key"));
    }
}
