//! Members that ask for what this server does not have.

use crate::stream::json::{Json, Problem, Value};

/// The value of a member whose feature is not built: whatever means "no" is taken, an object of such members too, and anything else
/// is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unbuilt;

impl Value for Unbuilt {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        let asks_for_nothing = serde_json::from_str(json.text()).is_ok_and(|asked| asks_for_nothing(&asked));
        if asks_for_nothing { Ok(()) } else { Err(Problem::Unbuilt(String::new())) }
    }

    fn is_unset(&self) -> bool {
        true
    }

    fn write(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}

fn asks_for_nothing(asked: &serde_json::Value) -> bool {
    match asked {
        serde_json::Value::Null => true,
        serde_json::Value::Bool(is_on) => !is_on,
        serde_json::Value::Number(number) => number.as_u64() == Some(0),
        serde_json::Value::String(text) => text.is_empty(),
        serde_json::Value::Array(elements) => elements.is_empty(),
        serde_json::Value::Object(members) => members.values().all(asks_for_nothing),
    }
}

/// The same for a member whose object asks for the feature even if it is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnbuiltObject;

impl Value for UnbuiltObject {
    fn read(&mut self, json: Json<'_>) -> Result<(), Problem> {
        if json.is_null() { Ok(()) } else { Err(Problem::Unbuilt(String::new())) }
    }

    fn is_unset(&self) -> bool {
        true
    }

    fn write(&self) -> serde_json::Value {
        serde_json::Value::Null
    }
}
