//! Objects as tables of members.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::{Json, Kind, Problem};
use crate::stream::api::error::ApiError;

/// A value of a member.
pub trait Value {
    /// Takes what a client sent.
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem>;

    /// Whether it is what it would be if nobody had sent it.
    fn is_unset(&self) -> bool;

    /// The value as it is sent back.
    fn write(&self) -> serde_json::Value;
}

/// When a member is sent back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Echo {
    /// Always.
    Always,
    /// Only if it is set.
    IfSet,
}

/// A member of objects of type `T`.
pub struct Member<T: ?Sized> {
    /// Its name in JSON.
    pub name: &'static str,
    /// When it is sent back.
    pub echo: Echo,
    /// Finds its value.
    pub value: fn(&T) -> &dyn Value,
    /// Finds its value.
    pub value_mut: fn(&mut T) -> &mut dyn Value,
}

/// An object that is a table of members.
pub trait Members: Default + PartialEq + 'static {
    /// Its type, as Go names it.
    const TYPE: &'static str;

    /// Its members in the order in which they are sent back.
    const MEMBERS: &'static [Member<Self>];
}

/// Says which members a type has: `"name" => field Always`.
macro_rules! members {
    ($type:ty, $go:literal, { $($name:literal => $field:ident $echo:ident,)* }) => {
        impl $crate::stream::json::Members for $type {
            const TYPE: &'static str = $go;
            const MEMBERS: &'static [$crate::stream::json::Member<Self>] = &[$(
                $crate::stream::json::Member {
                    name: $name,
                    echo: $crate::stream::json::Echo::$echo,
                    value: |object| &object.$field,
                    value_mut: |object| &mut object.$field,
                },
            )*];
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                $crate::stream::json::serialize_members(self, serializer)
            }
        }
    };
}
pub(in crate::stream) use members;

/// Reads a whole document into `object`, and into `beside` what a request says besides; `null` leaves all as it is.
pub(in crate::stream) fn read_document<T: Members>(
    object: &mut T,
    beside: &mut [(&'static str, &mut dyn Value)],
    document: &[u8],
) -> Result<(), ApiError> {
    read_with(object, beside, Strangers::Refused, document)
}

/// The same for requests whose names nobody checks: what is not known is passed over.
pub(in crate::stream) fn read_known<T: Members>(object: &mut T, document: &[u8]) -> Result<(), ApiError> {
    read_with(object, &mut [], Strangers::PassedOver, document)
}

/// What happens to a name that no member has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strangers {
    Refused,
    PassedOver,
}

fn read_with<T: Members>(
    object: &mut T,
    beside: &mut [(&'static str, &mut dyn Value)],
    strangers: Strangers,
    document: &[u8],
) -> Result<(), ApiError> {
    // Bytes that are no text do not cost the whole request: nats-server replaces them too.
    let text = String::from_utf8_lossy(document);
    let read = serde_json::from_str(&text)
        .map_err(syntax)
        .and_then(|raw: &RawValue| read_members(object, beside, strangers, Json(raw.get())));
    read.map_err(|problem| problem.refusal(T::TYPE.trim_start_matches("server.")))
}

fn read_members<T: Members>(
    object: &mut T,
    beside: &mut [(&'static str, &mut dyn Value)],
    strangers: Strangers,
    json: Json<'_>,
) -> Result<(), Problem> {
    match json.kind() {
        Kind::Null => return Ok(()),
        Kind::Object => {}
        _ => return Err(json.mismatch(T::TYPE)),
    }
    let entries: Entries<'_> = serde_json::from_str(json.text()).map_err(syntax)?;
    for (name, json) in entries.into_iter() {
        if let Some((known, value)) = beside.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            value.read(json).map_err(|problem| problem.within(known))?;
            continue;
        }
        let member = T::MEMBERS.iter().find(|member| member.name == name);
        let member =
            member.or_else(|| T::MEMBERS.iter().find(|member| member.name.eq_ignore_ascii_case(&name)));
        match member {
            Some(member) => {
                let read = (member.value_mut)(object).read(json);
                read.map_err(|problem| problem.within(member.name))?;
            }
            None if strangers == Strangers::Refused => return Err(Problem::Unknown(name.into_owned())),
            None => {}
        }
    }
    Ok(())
}

/// Writes the members that are sent back, in their order.
pub(in crate::stream) fn serialize_members<T: Members, S: Serializer>(
    object: &T,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(None)?;
    for member in T::MEMBERS {
        let value = (member.value)(object);
        if member.echo == Echo::Always || !value.is_unset() {
            map.serialize_entry(member.name, &value.write())?;
        }
    }
    map.end()
}

impl<T: Members> Value for T {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        read_members(self, &mut [], Strangers::Refused, json)
    }

    fn is_unset(&self) -> bool {
        *self == T::default()
    }

    fn write(&self) -> serde_json::Value {
        // The writer of values cannot fail, and neither can a table of values.
        serialize_members(self, serde_json::value::Serializer).unwrap_or_default()
    }
}

impl<T: Members> Value for Option<T> {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        if json.is_null() {
            *self = None;
            return Ok(());
        }
        read_members(self.get_or_insert_default(), &mut [], Strangers::Refused, json)
    }

    fn is_unset(&self) -> bool {
        self.is_none()
    }

    fn write(&self) -> serde_json::Value {
        self.as_ref().map_or(serde_json::Value::Null, Value::write)
    }
}

/// The names and texts of an object, in order and with repetitions.
pub(super) struct Entries<'t>(Vec<(Cow<'t, str>, &'t RawValue)>);

impl<'t> Entries<'t> {
    pub(super) fn into_iter(self) -> impl Iterator<Item = (Cow<'t, str>, Json<'t>)> {
        self.0.into_iter().map(|(name, raw)| (name, Json(raw.get())))
    }
}

impl<'de> Deserialize<'de> for Entries<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;

        impl<'de> Visitor<'de> for Collect {
            type Value = Entries<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<'de>, A::Error> {
                let mut entries = Vec::new();
                while let Some(Name(name)) = map.next_key()? {
                    entries.push((name, map.next_value()?));
                }
                Ok(Entries(entries))
            }
        }

        deserializer.deserialize_map(Collect)
    }
}

/// A name that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct Name<'t>(#[serde(borrow)] Cow<'t, str>);

pub(super) fn syntax(error: serde_json::Error) -> Problem {
    Problem::Syntax(if error.is_eof() { "unexpected EOF".to_owned() } else { error.to_string() })
}
