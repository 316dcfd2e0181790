//! docs/http.md: every call with an example that works.  The page is made from the description of the API and from the examples in
//! `reference.txt`; the test of the documents runs it.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

/// Set to `1` to write the page anew.
const UPDATE: &str = "QUARTET_UPDATE_GOLDEN";

const EXAMPLES: &str = include_str!("reference.txt");

const HEAD: &str = r#"# HTTP reference

<!-- Generated from the description of the API and `tests/http/reference.txt`; `QUARTET_UPDATE_GOLDEN=1 cargo test --test quartet -- reference` writes it anew. -->

Every call of the HTTP listener, with an example that works as it stands: the examples of this page run one after the other against a
server that was just started.  `http://localhost:8080/docs` shows the same calls with all fields of their bodies, and tries them out.
Commands of the Redis protocol, which all run over HTTP too, are in [commands-http.md](commands-http.md).

What holds for every call:

* A server with a password needs `-H 'Authorization: Bearer PASSWORD'`.
* Errors are problem details (RFC 9457): `type` says which problem it is and never changes, `detail` is for people.
* `-d` of curl makes a POST of the body.  No content type is needed for JSON.
* The examples pass `-w '%{http_code}'` where an answer has no body, so that its status is seen.

Some calls name what an earlier answer has told, such as the id of a lock.  The examples keep such an answer in the file `answer`, and take
a field from it with

```console
$ told() { sed "s/.*\"$1\":\"\([^\"]*\)\".*/\1/" answer; }
```
"#;

/// The sections: their tags in the description, their titles, and the page that explains more.
const SECTIONS: &[(&str, &str, &str)] = &[
    ("cache", "Cache", "cache-http.md"),
    ("limits", "Rate limits", "limits.md"),
    ("locks", "Locks", "locks.md"),
    ("broker", "Broker", "broker-http.md"),
    ("streams", "Streams", "streams-http.md"),
    ("kv", "Buckets of keys and values", "streams-http.md"),
    ("monitoring", "Monitoring in the shape of nats-server", "broker-http.md"),
    ("health", "Health", "operations.md"),
    ("about", "About the server", "operations.md"),
];

/// A call with its example.
struct Call {
    /// Method and path.
    name: &'static str,
    /// The word of its block, which says how it is run.
    word: &'static str,
    /// The lines of its block.
    lines: String,
}

/// The calls of the file, in its order.
fn calls() -> Vec<Call> {
    let parts = EXAMPLES.trim().split("\n\n").filter(|part| !part.starts_with('#'));
    let mut calls: Vec<Call> = Vec::new();
    for part in parts {
        let (name, lines) = part.split_once('\n').unwrap_or((part, ""));
        let is_call = name.split_once(" /").is_some_and(|(method, _)| method.chars().all(char::is_uppercase));
        if is_call {
            let word = if lines.starts_with('%') { "console listen" } else { "console" };
            calls.push(Call { name, word, lines: lines.replacen("% ", "$ ", 1) });
        } else {
            // What a command prints may have empty lines.
            calls.last_mut().expect("a call comes first").lines += &format!("\n\n{part}");
        }
    }
    calls
}

/// The operation of a call in the description.
fn operation<'d>(description: &'d Value, name: &str) -> &'d Value {
    let (method, path) = name.split_once(' ').expect("a method and a path");
    &description["paths"][path][method.to_lowercase()]
}

/// Sentences on one line.
fn flowing(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn write_call(page: &mut String, description: &Value, call: &Call) -> std::fmt::Result {
    let operation = operation(description, call.name);
    let text = |value: &Value| flowing(value.as_str().unwrap_or_default());
    write!(page, "\n### `{}`\n\n{}.", call.name, text(&operation["summary"]))?;
    if !operation["description"].is_null() {
        write!(page, "  {}", text(&operation["description"]))?;
    }
    page.push_str("\n\n");
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let others: Vec<&Value> = parameters.filter(|parameter| parameter["in"] != "path").collect();
    if !others.is_empty() {
        page.push_str("| parameter | in | what it says |\n|---|---|---|\n");
    }
    for parameter in &others {
        let about = text(&parameter["description"]).replace('|', "\\|");
        writeln!(page, "| `{}` | {} | {about} |", text(&parameter["name"]), text(&parameter["in"]))?;
    }
    if !others.is_empty() {
        page.push('\n');
    }
    let answers = operation["responses"].as_object().expect("an operation has answers");
    let told: Vec<String> = answers
        .iter()
        .filter(|(status, _)| !status.ends_with("XX"))
        .map(|(status, answer)| format!("{status} ({})", within_sentence(&text(&answer["description"]))))
        .collect();
    writeln!(page, "Answers {}.\n", told.join(", "))?;
    writeln!(page, "```{}\n{}\n```", call.word, call.lines)
}

/// A sentence as a part of another one.
fn within_sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

fn page(description: &Value) -> String {
    let calls = calls();
    let mut page = HEAD.to_owned();
    for (tag, title, guide) in SECTIONS {
        write!(page, "\n## {title}\n\n[{guide}]({guide}) explains more.\n")
            .expect("a string takes everything");
        let of_section = |call: &&Call| operation(description, call.name)["tags"][0] == *tag;
        for call in calls.iter().filter(of_section) {
            write_call(&mut page, description, call).expect("a string takes everything");
        }
    }
    page
}

fn description() -> Value {
    let text = quartet::http::openapi().to_json().expect("it is JSON");
    serde_json::from_str(&text).expect("it was just written")
}

#[test]
fn every_call_has_one_example() {
    let description = description();
    let calls = calls();
    let mut wanted: Vec<String> = Vec::new();
    for (path, operations) in description["paths"].as_object().expect("there are paths") {
        // Commands have a page of their own.
        if path.starts_with("/redis") {
            continue;
        }
        for (method, operation) in operations.as_object().expect("a path has operations") {
            let name = format!("{} {path}", method.to_uppercase());
            let tag = &operation["tags"][0];
            assert!(
                SECTIONS.iter().any(|(known, ..)| tag == *known),
                "{name}: {tag} is no section of docs/http.md"
            );
            wanted.push(name);
        }
    }
    let mut found: Vec<String> = calls.iter().map(|call| call.name.to_owned()).collect();
    wanted.sort();
    found.sort();
    let missing: Vec<&String> = wanted.iter().filter(|name| !found.contains(name)).collect();
    assert_eq!(missing, Vec::<&String>::new(), "these calls need an example in tests/http/reference.txt");
    assert_eq!(wanted, found, "each call has one example, and each example a call");
}

#[test]
fn the_reference_is_the_one_that_is_kept() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/http.md");
    let page = page(&description());
    if env::var(UPDATE).as_deref() == Ok("1") {
        fs::write(&path, &page).expect("the page can be written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let difference = kept.lines().zip(page.lines()).find(|(kept, new)| kept != new);
    assert!(kept == page, "docs/http.md is old, first at {difference:?}: run with {UPDATE}=1 reference");
}
