//! Definitions as the journal keeps them: as the JSON that clients get, from which the very same definition is read back.

use super::{ConsumerDefinition, StreamDefinition};
use crate::stream::json::{Members, read_document};

impl StreamDefinition {
    /// What the journal keeps.
    pub fn kept(&self) -> Vec<u8> {
        written(self)
    }

    /// The definition that was kept.
    ///
    /// # Errors
    /// If the text is not a definition, or has members that only a later version knows.
    pub fn read_kept(document: &[u8]) -> Result<StreamDefinition, String> {
        read(document, "stream")
    }
}

impl ConsumerDefinition {
    /// What the journal keeps.
    pub fn kept(&self) -> Vec<u8> {
        written(self)
    }

    /// The definition that was kept.
    ///
    /// # Errors
    /// If the text is not a definition, or has members that only a later version knows.
    pub fn read_kept(document: &[u8]) -> Result<ConsumerDefinition, String> {
        read(document, "consumer")
    }
}

fn written(definition: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(definition).expect("tables of values can be written")
}

fn read<T: Members>(document: &[u8], what: &str) -> Result<T, String> {
    let mut definition = T::default();
    read_document(&mut definition, &mut [], document)
        .map_err(|error| format!("the definition of a {what} in the journal: {}", error.description))?;
    Ok(definition)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Values for members of any kind; a member takes those that it can.
    const VALUES: [&str; 21] = [
        "true",
        "-1",
        "0",
        "7",
        "9223372036854775807",
        "18446744073709551615",
        r#""""#,
        r#""a.b""#,
        r#""two \"words\"\n\u0007 and é 💡""#,
        r#""interest""#,
        r#""new""#,
        r#""memory""#,
        r#""async""#,
        r#""by_start_time""#,
        r#""pinned_client""#,
        r#""2026-01-02T03:04:05.678901234+05:30""#,
        r#""9999-12-31T23:59:59-23:59""#,
        r#"["a.>","b"]"#,
        "[1000000000,5]",
        r#"{"src":"a.>","dest":"b.>","headers_only":true}"#,
        r#"{"b":"2","a":"\\"}"#,
    ];

    fn random<T: Members + Clone>(random: &mut Random) -> T {
        let mut definition = T::default();
        for member in T::MEMBERS {
            for _ in 0..random.below(4) {
                let document = format!(r#"{{"{}":{}}}"#, member.name, VALUES[random.below(VALUES.len())]);
                let mut changed = definition.clone();
                if read_document(&mut changed, &mut [], document.as_bytes()).is_ok() {
                    definition = changed;
                }
            }
        }
        definition
    }

    #[test]
    fn definitions_are_read_back_as_they_were() {
        let mut source = Random::with_seed(21);
        for _ in 0..3_000 {
            let stream: StreamDefinition = random(&mut source);
            assert_eq!(StreamDefinition::read_kept(&stream.kept()).as_ref(), Ok(&stream));
            let consumer: ConsumerDefinition = random(&mut source);
            assert_eq!(ConsumerDefinition::read_kept(&consumer.kept()).as_ref(), Ok(&consumer));
        }
        for document in [r#"{"name":"S"}"#, r#"{"name":"S","subjects":["a"],"max_msgs_per_subject":5}"#] {
            let (read, pedantic) = StreamDefinition::read(document.as_bytes()).expect("it is JSON");
            let checked = read.checked_for_creation(pedantic).expect("it is a definition");
            assert_eq!(StreamDefinition::read_kept(&checked.kept()), Ok(checked));
        }
    }

    #[test]
    fn what_is_not_known_is_named() {
        let error = StreamDefinition::read_kept(br#"{"name":"S","from_later":1}"#).unwrap_err();
        assert!(error.contains("from_later"), "{error}");
    }
}
