//! Headers of a message as JSON has them: by each name a text or a list of texts.

use std::collections::BTreeMap;
use std::fmt;

use quartet_protocol::broker::headers::{HeaderBlock, InvalidHeader};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// The values of headers by their names.
pub type HeadersByName = BTreeMap<String, HeaderValues>;

/// The values of a header.
pub struct HeaderValues(Vec<String>);

impl<'de> Deserialize<'de> for HeaderValues {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<HeaderValues, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = HeaderValues;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text or a list of texts")
            }

            fn visit_str<E>(self, text: &str) -> Result<HeaderValues, E> {
                Ok(HeaderValues(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<HeaderValues, A::Error> {
                let mut values = Vec::new();
                while let Some(value) = list.next_element()? {
                    values.push(value);
                }
                Ok(HeaderValues(values))
            }
        }

        deserializer.deserialize_any(Values)
    }
}

/// The headers as a block; empty for none.
///
/// # Errors
/// If a name or a value cannot stand in a header: the field of the JSON, and why.
pub fn block_of(headers: &HeadersByName) -> Result<Vec<u8>, (String, InvalidHeader)> {
    let mut block = HeaderBlock::new();
    for (name, HeaderValues(values)) in headers {
        for value in values {
            let pushed = block.push(name.as_bytes(), value.as_bytes());
            pushed.map_err(|invalid| (format!("headers.{name}"), invalid))?;
        }
    }
    Ok(if block.is_empty() { Vec::new() } else { block.finish() })
}
