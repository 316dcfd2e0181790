//! CONNECT: what a client says about itself.

use serde_json::{Map, Value};

use crate::client::BrokerOptions;
use crate::settings::SlowConsumer;

/// The fields that switch an option.
const SWITCHES: &[(&str, BrokerOptions)] = &[
    ("verbose", BrokerOptions::VERBOSE),
    ("pedantic", BrokerOptions::PEDANTIC),
    ("echo", BrokerOptions::ECHO),
    ("headers", BrokerOptions::HEADERS),
    ("no_responders", BrokerOptions::NO_RESPONDERS),
];

/// The fields that the server looks at.  One that is absent or empty (`null`) leaves everything as it was.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Connect {
    /// The options that hold from here on.
    pub(super) options: BrokerOptions,
    pub(super) protocol: Option<i64>,
    pub(super) name: Option<String>,
    pub(super) language: Option<String>,
    pub(super) version: Option<String>,
    pub(super) user: Option<String>,
    pub(super) password: Option<String>,
    pub(super) token: Option<String>,
    /// Our own: what happens to the client if it reads too slowly.
    pub(super) slow_consumer: Option<SlowConsumer>,
}

impl Connect {
    /// Reads the JSON of a client that had `options` so far; none if it is no JSON object, or a field has a value of
    /// another type than it should.
    pub(super) fn parse(json: &[u8], options: BrokerOptions) -> Option<Connect> {
        // What is no UTF-8 is replaced, as in nats-server: the name of a client may be in any encoding.
        let json = String::from_utf8_lossy(json);
        // A field that stands twice counts as it stands last.
        let fields: Option<Map<String, Value>> = serde_json::from_str(&json).ok()?;
        let fields = Fields(fields.unwrap_or_default());
        let mut options = options;
        for (name, option) in SWITCHES {
            if let Some(is_on) = fields.read(name, Value::as_bool)? {
                options.set(*option, is_on);
            }
        }
        let protocol = fields.read("protocol", Value::as_i64)?;
        if let Some(protocol) = protocol {
            options.set(BrokerOptions::TAKES_INFO, protocol >= 1);
        }
        let word = |value: &Value| {
            let word = value.as_str()?;
            SlowConsumer::ALL.iter().copied().find(|policy| policy.word() == word)
        };
        Some(Connect {
            options,
            protocol,
            name: fields.text("name")?,
            language: fields.text("lang")?,
            version: fields.text("version")?,
            user: fields.text("user")?,
            password: fields.text("pass")?,
            token: fields.text("auth_token")?,
            slow_consumer: fields.read("slow_consumer", word)?,
        })
    }
}

/// The fields by their names, whose case does not matter, as in nats-server.
struct Fields(Map<String, Value>);

impl Fields {
    /// The value of a field, if it has one; none if that is of another type.
    fn read<T>(&self, name: &str, read: impl FnOnce(&Value) -> Option<T>) -> Option<Option<T>> {
        let others =
            || self.0.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        match self.0.get(name).or_else(others) {
            None | Some(Value::Null) => Some(None),
            Some(value) => read(value).map(Some),
        }
    }

    fn text(&self, name: &str) -> Option<Option<String>> {
        self.read(name, |value| value.as_str().map(str::to_owned))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options_of(json: &str) -> Option<BrokerOptions> {
        Connect::parse(json.as_bytes(), BrokerOptions::TYPED).map(|connect| connect.options)
    }

    #[test]
    fn a_client_changes_the_options_that_it_names() {
        let typed = BrokerOptions::TYPED;
        for json in ["{}", "null", r#"{"verbose":null,"user":null,"unknown":[1]}"#] {
            assert_eq!(options_of(json), Some(typed), "{json}");
        }
        let quiet = typed - BrokerOptions::VERBOSE;
        for json in [r#"{"verbose":false}"#, r#"{"VERBOSE":false}"#, r#"{"verbose":true,"verbose":false}"#] {
            assert_eq!(options_of(json), Some(quiet), "{json}");
        }
        let all = r#"{"verbose":false,"pedantic":false,"echo":false,"headers":true,"no_responders":true,"protocol":1}"#;
        let expected = BrokerOptions::HEADERS | BrokerOptions::NO_RESPONDERS | BrokerOptions::TAKES_INFO;
        assert_eq!(options_of(all), Some(expected));
    }

    #[test]
    fn a_name_may_be_in_any_encoding() {
        let connect = Connect::parse(b"{\"name\":\"M\xfcller\"}", BrokerOptions::TYPED);
        assert_eq!(connect.and_then(|connect| connect.name).as_deref(), Some("M\u{fffd}ller"));
    }

    #[test]
    fn what_is_no_object_or_of_another_type_is_refused() {
        let wrong =
            ["", "{", "[]", "1", r#""x""#, r#"{"verbose":"yes"}"#, r#"{"protocol":"1"}"#, r#"{"name":1}"#];
        for json in wrong.into_iter().chain([r#"{"slow_consumer":"sometimes"}"#]) {
            assert_eq!(Connect::parse(json.as_bytes(), BrokerOptions::TYPED), None, "{json}");
        }
    }

    #[test]
    fn facts_are_read() {
        let json =
            br#"{"name":"n","lang":"l","version":"v","user":"u","pass":"p","auth_token":"t","protocol":1,
            "slow_consumer":"drop-oldest"}"#;
        let connect = Connect::parse(json, BrokerOptions::TYPED).expect("it is valid");
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        let texts = [&connect.name, &connect.language, &connect.version, &connect.user, &connect.password];
        assert_eq!(texts.map(text), ["n", "l", "v", "u", "p"]);
        assert_eq!((text(&connect.token), connect.protocol), ("t".to_owned(), Some(1)));
        assert_eq!(connect.slow_consumer, Some(SlowConsumer::DropOldest));
    }
}
