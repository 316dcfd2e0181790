//! Members that ask for what this server does not have.

use crate::stream::json::{Json, Problem, Value};

/// The value of a member whose feature is not built: whatever means "no" is taken, anything else is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unbuilt;

impl Value for Unbuilt {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        let mut text = json.text().to_owned();
        text.retain(|character| !character.is_ascii_whitespace());
        match text.as_str() {
            "null" | "false" | "0" | "\"\"" | "[]" | "{}" => Ok(()),
            _ => Err(Problem::Unbuilt(String::new())),
        }
    }

    fn is_unset(&self) -> bool {
        true
    }

    fn write(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}
