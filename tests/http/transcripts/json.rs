//! Comparing JSON with golden JSON, whose strings may leave open what varies.

use serde_json::Value;

use crate::transcripts::pattern::line_matches;

/// A member that stands for any more.
const MORE: &str = "...";

/// Whether `body` is what `golden` asks for; an object may have more members if it `is_part`.
pub(super) fn matches(golden: &Value, body: &Value, is_part: bool) -> bool {
    match (golden, body) {
        (Value::Object(golden), Value::Object(body)) => {
            (is_part || golden.contains_key(MORE) || golden.len() == body.len())
                && golden
                    .iter()
                    .filter(|(name, _)| *name != MORE)
                    .all(|(name, value)| body.get(name).is_some_and(|other| matches(value, other, false)))
        }
        (Value::Array(golden), Value::Array(body)) => {
            golden.len() == body.len()
                && golden.iter().zip(body).all(|(golden, body)| matches(golden, body, false))
        }
        (Value::String(golden), _) if golden == "<any>" => true,
        (Value::String(golden), Value::String(text)) => line_matches(golden, text),
        (Value::String(golden), Value::Number(number)) => {
            golden.starts_with('<') && line_matches(golden, &number.to_string())
        }
        _ => golden == body,
    }
}
