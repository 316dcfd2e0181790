//! The parameters of the query, read strictly and as bytes, since keys and names need not be text.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::num::{IntErrorKind, ParseIntError};
use std::ops::Deref;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use percent_encoding::percent_decode;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};
use serde::{Deserialize, forward_to_deserialize_any};

use super::context::Context;
use super::fault::Fault;
use super::problem::Problem;
use super::problems;

/// The allowed value of a parameter that is text.
const TEXT: &str = "percent-encoded UTF-8";

/// The parameters of the query.  As with [`Json`](super::Json), unknown ones should be refused.  Where a field is text,
/// bytes that are not UTF-8 are refused; they are kept where it is [`QueryBytes`].  A parameter may be there several times only
/// where the field is a list.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Context> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _context: &Context) -> Result<Query<T>, Problem> {
        parse(parts.uri.query().unwrap_or_default()).map(Query)
    }
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = String::from_utf8(decoded(name).into_owned()).map_err(|_| {
            let detail = format!("the name of the parameter {} is not UTF-8", name.escape_debug());
            Problem::new(problems::INVALID_VALUE).detail(detail)
        })?;
        Ok((name, decoded(value)))
    });
    Ok(T::deserialize(MapDeserializer::<_, Fault>::new(gathered(pairs)?.into_iter()))?)
}

/// The parameters in the order in which each is first there, with all its values.
fn gathered<'q>(
    pairs: impl Iterator<Item = Result<(String, Cow<'q, [u8]>), Problem>>,
) -> Result<Vec<(String, Values<'q>)>, Problem> {
    let mut places = HashMap::new();
    let mut parameters: Vec<(String, Values<'q>)> = Vec::new();
    for pair in pairs {
        let (name, bytes) = pair?;
        let place = *places.entry(name.clone()).or_insert(parameters.len());
        match parameters.get_mut(place) {
            Some((_, values)) => values.more.push(bytes),
            None => {
                let value = Value { name: name.clone(), bytes };
                parameters.push((name, Values { value, more: Vec::new() }));
            }
        }
    }
    Ok(parameters)
}

/// The bytes of a name or a value: a plus sign is a blank, and `%` with two digits is a byte.
fn decoded(text: &str) -> Cow<'_, [u8]> {
    if !text.contains(['+', '%']) {
        return Cow::Borrowed(text.as_bytes());
    }
    percent_decode(text.replace('+', " ").as_bytes()).collect::<Vec<u8>>().into()
}

/// A parameter that may be any bytes, for example a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueryBytes(pub Vec<u8>);

impl Deref for QueryBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<'de> Deserialize<'de> for QueryBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<QueryBytes, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = QueryBytes;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<QueryBytes, E> {
                Ok(QueryBytes(bytes.to_vec()))
            }
        }

        deserializer.deserialize_byte_buf(Bytes)
    }
}

/// The values of one parameter.
struct Values<'q> {
    value: Value<'q>,
    /// Those behind the first.
    more: Vec<Cow<'q, [u8]>>,
}

impl<'q> Values<'q> {
    /// The value of a parameter that may be there once.
    fn single(self) -> Result<Value<'q>, Fault> {
        if self.more.is_empty() {
            return Ok(self.value);
        }
        Err(Fault::allowed("one value").in_field(&self.value.name))
    }
}

/// One value of the query.
struct Value<'q> {
    /// The name of its parameter.
    name: String,
    bytes: Cow<'q, [u8]>,
}

impl Value<'_> {
    fn text(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.bytes).map_err(|_| Fault::allowed(TEXT).in_field(&self.name))
    }

    /// The value that the text spells.
    fn parsed<T: FromStr>(&self, allowed: impl FnOnce(T::Err) -> &'static str) -> Result<T, Fault> {
        self.text()?.parse().map_err(|error| Fault::allowed(allowed(error)).in_field(&self.name))
    }
}

/// The allowed value of a parameter whose integer cannot be read.
fn allowed_integer(error: ParseIntError) -> &'static str {
    match error.kind() {
        IntErrorKind::PosOverflow => "a smaller number",
        IntErrorKind::NegOverflow => "a larger number",
        _ => "an integer",
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Value<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $allowed:expr;)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            let value = self.parsed($allowed)?;
            visitor.$visit(value).map_err(|fault: Fault| fault.in_field(&self.name))
        }
    )* };
}

impl<'de> Deserializer<'de> for Value<'_> {
    type Error = Fault;

    parsed! {
        deserialize_bool visit_bool |_| "true or false";
        deserialize_i8 visit_i8 allowed_integer;
        deserialize_i16 visit_i16 allowed_integer;
        deserialize_i32 visit_i32 allowed_integer;
        deserialize_i64 visit_i64 allowed_integer;
        deserialize_u8 visit_u8 allowed_integer;
        deserialize_u16 visit_u16 allowed_integer;
        deserialize_u32 visit_u32 allowed_integer;
        deserialize_u64 visit_u64 allowed_integer;
        deserialize_f32 visit_f32 |_| "a number";
        deserialize_f64 visit_f64 |_| "a number";
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_str(self.text()?).map_err(|fault: Fault| fault.in_field(&self.name))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bytes(&self.bytes).map_err(|fault: Fault| fault.in_field(&self.name))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_bytes(&self.bytes).map_err(|fault: Fault| fault.in_field(&self.name))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor
            .visit_enum(self.text()?.into_deserializer())
            .map_err(|fault: Fault| fault.in_field(&self.name))
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Fault> for Values<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! forwarded {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.single()?.$method(visitor)
        }
    )* };
}

impl<'de> Deserializer<'de> for Values<'_> {
    type Error = Fault;

    forwarded! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8
        deserialize_u16 deserialize_u32 deserialize_u64 deserialize_f32 deserialize_f64 deserialize_bytes
        deserialize_byte_buf deserialize_option
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let Values { value, more } = self;
        let name = value.name.clone();
        let more = more.into_iter().map(|bytes| Value { name: name.clone(), bytes });
        visitor.visit_seq(SeqDeserializer::new(std::iter::once(value).chain(more)))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.single()?.deserialize_newtype_struct(name, visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.single()?.deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        char str string unit unit_struct tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(deny_unknown_fields)]
    struct Parameters {
        key: Option<QueryBytes>,
        name: Option<String>,
        #[serde(default)]
        cost: i64,
        #[serde(default)]
        peek: bool,
        ttl: Option<f64>,
        mode: Option<Mode>,
        #[serde(default)]
        tag: Vec<String>,
    }

    #[derive(Deserialize, Debug, PartialEq)]
    #[serde(rename_all = "lowercase")]
    enum Mode {
        Shared,
    }

    fn key(query: &str) -> Option<Vec<u8>> {
        let parameters: Parameters = parse(query).unwrap_or_else(|problem| panic!("{}", problem.document()));
        parameters.key.map(|key| key.0)
    }

    #[test]
    fn keys_are_the_bytes_they_stand_for() {
        for (query, bytes) in [
            ("key=%FF", &b"\xff"[..]),
            ("key=%FE", b"\xfe"),
            ("key=%ED%A0%80", b"\xed\xa0\x80"),
            ("key=%EF%BF%BD", b"\xef\xbf\xbd"),
            ("key=%00", b"\0"),
            ("key=a+b%2Bc%20d", b"a b+c d"),
            ("key=%zz%4", b"%zz%4"),
            ("key=a%26b%3Dc=d", b"a&b=c=d"),
            ("key=", b""),
            ("key", b""),
            ("&&k%65y=x&", b"x"),
        ] {
            assert_eq!(key(query).as_deref(), Some(bytes), "{query}");
        }
        assert_eq!(key("name=%C3%A9"), None);
    }

    #[test]
    fn values_are_read_as_what_the_field_is() {
        let parameters: Parameters =
            parse("name=%C3%A9+%25&cost=-4&peek=true&ttl=1.5&mode=shared").expect("it is well-formed");
        let expected = Parameters {
            key: None,
            name: Some("\u{e9} %".to_owned()),
            cost: -4,
            peek: true,
            ttl: Some(1.5),
            mode: Some(Mode::Shared),
            tag: Vec::new(),
        };
        assert_eq!(parameters, expected);
    }

    #[test]
    fn a_list_has_all_values_of_its_parameter() {
        for (query, tags) in
            [("tag=a", &["a"][..]), ("tag=b&peek=true&tag=%C3%A9&tag=", &["b", "\u{e9}", ""])]
        {
            let parameters: Parameters = parse(query).expect("it is well-formed");
            assert_eq!(parameters.tag, tags, "{query}");
        }
    }

    #[test]
    fn a_parameter_that_does_not_fit_is_named() {
        for (query, field, allowed) in [
            ("name=%FF", "name", "percent-encoded UTF-8"),
            ("mode=%FF", "mode", "percent-encoded UTF-8"),
            ("cost=%FF", "cost", "percent-encoded UTF-8"),
            ("peek=%ED%A0%80", "peek", "percent-encoded UTF-8"),
            ("cost=x", "cost", "an integer"),
            ("cost=", "cost", "an integer"),
            ("cost=9223372036854775808", "cost", "a smaller number"),
            ("peek=yes", "peek", "true or false"),
            ("ttl=x", "ttl", "a number"),
            ("mode=x", "mode", "shared"),
            ("key=%FF&key=%FE", "key", "one value"),
            ("cost=1&peek=true&cost=2", "cost", "one value"),
            ("tag=a&tag=%FF", "tag", "percent-encoded UTF-8"),
            ("other=1", "other", "one of key, name, cost, peek, ttl, mode, tag"),
        ] {
            let problem = parse::<Parameters>(query).expect_err("it is refused");
            let body: serde_json::Value = serde_json::from_str(&problem.document()).expect("it is JSON");
            assert_eq!(
                (&body["field"], &body["allowed"]),
                (&field.into(), &allowed.into()),
                "{query}: {body}"
            );
        }
        assert!(parse::<Parameters>("%FF=1").is_err(), "a name is text");
    }
}
