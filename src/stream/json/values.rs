//! The values of members that are no objects.

use std::collections::BTreeMap;
use std::time::Duration;

use super::members::{Entries, Value, syntax};
use super::{Json, Kind, Problem, Time};

/// A duration as JSON has it, in nanoseconds; clients also send negative ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanoseconds(pub i64);

impl Nanoseconds {
    /// No time.
    pub const ZERO: Nanoseconds = Nanoseconds(0);

    /// The duration; none at all for a negative one.
    pub fn duration(self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0).unwrap_or_default())
    }

    /// A duration; what is longer than some 292 years is that long.
    pub fn of(duration: Duration) -> Nanoseconds {
        Nanoseconds(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX))
    }

    /// A whole number of milliseconds.
    pub const fn from_millis(milliseconds: i64) -> Nanoseconds {
        Nanoseconds(milliseconds * 1_000_000)
    }

    /// A whole number of seconds.
    pub const fn from_secs(seconds: i64) -> Nanoseconds {
        Nanoseconds(seconds * 1_000_000_000)
    }
}

/// As Go writes durations: `1h2m3.5s`, `1.5ms`.
impl std::fmt::Display for Nanoseconds {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 < 0 {
            formatter.write_str("-")?;
        }
        let nanoseconds = self.0.unsigned_abs();
        let (seconds, rest) = (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000);
        if seconds == 0 && rest > 0 {
            return write!(formatter, "{:?}", Duration::from_nanos(rest));
        }
        let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
        if hours > 0 {
            write!(formatter, "{hours}h")?;
        }
        if seconds >= 60 {
            write!(formatter, "{minutes}m")?;
        }
        let fraction = format!("{rest:09}");
        match fraction.trim_end_matches('0') {
            "" => write!(formatter, "{}s", seconds % 60),
            fraction => write!(formatter, "{}.{fraction}s", seconds % 60),
        }
    }
}

impl Value for Nanoseconds {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        number(json, "time.Duration", &mut self.0)
    }

    fn is_unset(&self) -> bool {
        self.0 == 0
    }

    fn write(&self) -> serde_json::Value {
        self.0.into()
    }
}

impl Value for bool {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        match json.kind() {
            Kind::Null => {}
            Kind::Bool => *self = json.text() == "true",
            _ => return Err(json.mismatch("bool")),
        }
        Ok(())
    }

    fn is_unset(&self) -> bool {
        !self
    }

    fn write(&self) -> serde_json::Value {
        (*self).into()
    }
}

macro_rules! numbers {
    ($($type:ident $go:literal),*) => {$(
        impl Value for $type {
            fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
                number(json, $go, self)
            }

            fn is_unset(&self) -> bool {
                *self == 0
            }

            fn write(&self) -> serde_json::Value {
                (*self).into()
            }
        }
    )*};
}
numbers!(i32 "int32", i64 "int64", u64 "uint64");

fn number<N: std::str::FromStr>(json: Json<'_>, go: &'static str, into: &mut N) -> Result<(), Problem> {
    match json.kind() {
        Kind::Null => return Ok(()),
        Kind::Number => {}
        _ => return Err(json.mismatch(go)),
    }
    *into = json.text().parse().map_err(|_| Problem::mismatch(format!("number {}", json.text()), go))?;
    Ok(())
}

impl Value for String {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        match json.kind() {
            Kind::Null => {}
            Kind::String => *self = serde_json::from_str(json.text()).map_err(syntax)?,
            _ => return Err(json.mismatch("string")),
        }
        Ok(())
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }

    fn write(&self) -> serde_json::Value {
        self.as_str().into()
    }
}

/// A value that may stand in a list.
pub trait Listed: Value + Default {
    /// The type of the list, as Go names it.
    const LIST: &'static str;
}

impl Listed for String {
    const LIST: &'static str = "[]string";
}

impl Listed for Nanoseconds {
    const LIST: &'static str = "[]time.Duration";
}

impl<T: Listed> Value for Vec<T> {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        match json.kind() {
            Kind::Null => {
                self.clear();
                return Ok(());
            }
            Kind::Array => self.clear(),
            _ => return Err(json.mismatch(T::LIST)),
        }
        let texts: Vec<&serde_json::value::RawValue> = serde_json::from_str(json.text()).map_err(syntax)?;
        for (place, text) in texts.into_iter().enumerate() {
            let mut value = T::default();
            value.read(Json(text.get())).map_err(|problem| problem.at(place))?;
            self.push(value);
        }
        Ok(())
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }

    fn write(&self) -> serde_json::Value {
        self.iter().map(Value::write).collect()
    }
}

impl Value for BTreeMap<String, String> {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        match json.kind() {
            Kind::Null => {
                self.clear();
                return Ok(());
            }
            Kind::Object => {}
            _ => return Err(json.mismatch("map[string]string")),
        }
        let entries: Entries<'_> = serde_json::from_str(json.text()).map_err(syntax)?;
        for (name, json) in entries.into_iter() {
            let mut text = String::new();
            text.read(json).map_err(|problem| problem.within(&name))?;
            self.insert(name.into_owned(), text);
        }
        Ok(())
    }

    fn is_unset(&self) -> bool {
        self.is_empty()
    }

    fn write(&self) -> serde_json::Value {
        self.iter().map(|(name, text)| (name.clone(), serde_json::Value::from(text.as_str()))).collect()
    }
}

impl Value for Option<Time> {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        match json.kind() {
            Kind::Null => *self = None,
            Kind::String => {
                let mut text = String::new();
                text.read(json)?;
                *self = Some(Time::parse(&text).ok_or_else(|| {
                    let text = json.text();
                    Problem::Impossible(format!(
                        "parsing time {text} as \"2006-01-02T15:04:05Z07:00\": cannot parse {text} as \"2006\""
                    ))
                })?);
            }
            _ => return Err(json.mismatch("time.Time")),
        }
        Ok(())
    }

    fn is_unset(&self) -> bool {
        self.is_none()
    }

    fn write(&self) -> serde_json::Value {
        self.map_or(serde_json::Value::Null, |time| time.to_string().into())
    }
}
