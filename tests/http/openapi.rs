//! The description of the API as a file that is kept, so that a change of it is seen.

use std::path::Path;
use std::{env, fs};

use serde_json::Value;

/// Set to `1` to write the file anew.
const UPDATE: &str = "QUARTET_UPDATE_GOLDEN";

#[test]
fn the_description_is_the_one_that_is_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/openapi.json");
    let mut text = quartet::http::openapi().to_pretty_json().expect("it is JSON");
    text.push('\n');
    // Extensions of an operation are in no order.
    let is_same =
        |kept: &str| serde_json::from_str::<Value>(kept).ok() == serde_json::from_str::<Value>(&text).ok();
    let mut kept = fs::read_to_string(&path).unwrap_or_default();
    if env::var(UPDATE).as_deref() == Ok("1") && !is_same(&kept) {
        fs::write(&path, &text).expect("the file can be written");
        kept.clone_from(&text);
    }
    let difference = kept.lines().zip(text.lines()).find(|(kept, new)| kept != new);
    assert!(is_same(&kept), "docs/openapi.json is old, first at {difference:?}: run with {UPDATE}=1 openapi");
}
