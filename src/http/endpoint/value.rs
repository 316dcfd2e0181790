//! Reading a JSON value by its text, with faults that name the field and the allowed values.
//!
//! The errors of `serde_json` are English text, on which programs cannot rely.  Here it only finds where values begin and end.
//! The type that reads a value knows the allowed values, and a [`Fault`] keeps them.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::CowStrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};
use serde_json::Number;
use serde_json::value::RawValue;

use super::fault::Fault;

/// A JSON value as it was spelled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JsonText(pub String);

/// How [`JsonText`] asks for the text of a value.
const TEXT: &str = "quartet::JsonText";

impl<'de> Deserialize<'de> for JsonText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<JsonText, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = JsonText;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("JSON")
            }

            fn visit_str<E>(self, text: &str) -> Result<JsonText, E> {
                Ok(JsonText(text.to_owned()))
            }
        }

        deserializer.deserialize_newtype_struct(TEXT, Text)
    }
}

/// One JSON value, which is well-formed.
#[derive(Clone, Copy)]
pub(super) struct Value<'de>(pub(super) &'de RawValue);

impl<'de> Value<'de> {
    fn text(self) -> &'de str {
        self.0.get()
    }

    /// A part of it that `serde_json` reads.
    fn read<T: Deserialize<'de>>(self) -> Result<T, Fault> {
        serde_json::from_str(self.text()).map_err(|error| Fault::broken(&error))
    }
}

/// The members of an object in their order; names may be there twice.
struct Members<'de>(Vec<(Cow<'de, str>, &'de RawValue)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Members<'de>, D::Error> {
        #[derive(Deserialize)]
        struct Name<'n>(#[serde(borrow)] Cow<'n, str>);

        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((Name(name), value)) = map.next_entry()? {
                    members.push((name, value));
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}

struct Object<'de> {
    members: std::vec::IntoIter<(Cow<'de, str>, &'de RawValue)>,
    /// The member whose name was read last.
    current: Option<(Cow<'de, str>, &'de RawValue)>,
}

impl<'de> MapAccess<'de> for Object<'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.current = self.members.next();
        let Some((name, _)) = &self.current else { return Ok(None) };
        seed.deserialize(CowStrDeserializer::new(name.clone())).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let (name, value) = self.current.take().ok_or_else(|| Fault::allowed("a value"))?;
        seed.deserialize(Value(value)).map_err(|fault| fault.in_field(&name))
    }
}

struct List<'de> {
    items: std::iter::Enumerate<std::vec::IntoIter<&'de RawValue>>,
}

impl<'de> SeqAccess<'de> for List<'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((place, item)) = self.items.next() else { return Ok(None) };
        seed.deserialize(Value(item)).map(Some).map_err(|fault| fault.in_item(place))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The allowed values where a type asks for one of these.
const COUNT: &str = "an integer of at least 0";
const LARGE_COUNT: &str = "an integer from 0 to 9223372036854775807";
const INTEGER: &str = "an integer";
const NUMBER: &str = "a number";
const STRING: &str = "a string";

macro_rules! expecting {
    ($($method:ident $words:expr;)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.deserialize_any(visitor).map_err(|fault| fault.or_allowed($words))
        }
    )* };
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.text().as_bytes().first() {
            Some(b'{') => {
                let Members(members) = self.read()?;
                visitor.visit_map(Object { members: members.into_iter(), current: None })
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = self.read()?;
                visitor.visit_seq(List { items: items.into_iter().enumerate() })
            }
            Some(b'"') => visitor.visit_string(self.read()?),
            Some(b't') => visitor.visit_bool(true),
            Some(b'f') => visitor.visit_bool(false),
            Some(b'n') => visitor.visit_unit(),
            _ => {
                let number: Number = self.read()?;
                match (number.as_u64(), number.as_i64(), number.as_f64()) {
                    // Larger ones are no integers of the API, whose schemas say int64.
                    (Some(number), ..) if i64::try_from(number).is_ok() => visitor.visit_u64(number),
                    (_, Some(number), _) => visitor.visit_i64(number),
                    (.., number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
                }
            }
        }
    }

    expecting! {
        deserialize_bool "true or false";
        deserialize_i8 INTEGER;
        deserialize_i16 INTEGER;
        deserialize_i32 INTEGER;
        deserialize_i64 INTEGER;
        deserialize_u8 COUNT;
        deserialize_u16 COUNT;
        deserialize_u32 COUNT;
        deserialize_u64 LARGE_COUNT;
        deserialize_f32 NUMBER;
        deserialize_f64 NUMBER;
        deserialize_str STRING;
        deserialize_string STRING;
        deserialize_seq "a list";
        deserialize_map "an object";
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if !self.text().starts_with('{') {
            // Serde would take the items of a list for the fields in their order.
            return Err(Fault::allowed("an object"));
        }
        self.deserialize_any(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        if self.text() == "null" { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if name == TEXT {
            visitor.visit_borrowed_str(self.text())
        } else {
            visitor.visit_newtype_struct(self)
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if !self.text().starts_with('"') {
            return Err(Fault::allowed(STRING));
        }
        let word: String = self.read()?;
        visitor.visit_enum(word.into_deserializer())
    }

    forward_to_deserialize_any! {
        char bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}
