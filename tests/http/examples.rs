//! The examples of request bodies in the description of the API, sent as `/docs` sends them.

use serde_json::{Value, json};

use crate::support::http::{Http, Response};
use crate::support::process::Server;

const JSON: (&str, &str) = ("content-type", "application/json");

/// Bodies that name what only the client can know, and the status that they are answered with.
const OF_THE_CLIENT: &[(&str, u16)] = &[
    // The tokens of leases are those of an earlier answer.
    ("/streams/{stream}/consumers/{consumer}/ack", 409),
    ("/streams/{stream}/consumers/{consumer}/nak", 409),
    ("/streams/{stream}/consumers/{consumer}/progress", 409),
    ("/streams/{stream}/consumers/{consumer}/term", 409),
];

/// What the requests are about.
struct Things {
    http: Http,
    lock: String,
    shared: String,
    reservation: String,
    slot: String,
}

impl Things {
    fn make(server: &Server) -> Things {
        let mut http = Http::connect(server.http_address());
        let mut make = |method: &str, path: &str, body: Value| {
            let answer = http.ask(method, path, &[JSON], body.to_string().as_bytes());
            assert!(answer.status < 300, "{method} {path}: {}", answer.text());
            if answer.body.is_empty() { Value::Null } else { answer.json() }
        };
        let text = |answer: &Value, name: &str| answer[name].as_str().expect("it is named").to_owned();
        let lock = make("POST", "/lock", json!({"resource": "one", "owner": "ann", "ttl": 60}));
        let shared =
            make("POST", "/lock", json!({"resource": "two", "owner": "bob", "mode": "shared", "ttl": 60}));
        let slots = json!({"limits": [{"algorithm": "concurrency", "limit": 9, "period_ms": 60000}]});
        make("PUT", "/policies/jobs", slots);
        let slot = make("POST", "/slots/jobs/ann", json!({}));
        let reservation = make("POST", "/reservations", json!({"checks": [{"key": "ann", "cost": 3}]}));
        make("PUT", "/cache/present", json!({"value": "text"}));
        make("PUT", "/streams/ORDERS", json!({"subjects": ["orders.>"]}));
        make("PUT", "/streams/ORDERS/consumers/work", json!({}));
        Things {
            lock: text(&lock, "lock_id"),
            shared: text(&shared, "lock_id"),
            reservation: text(&reservation, "id"),
            slot: text(&slot, "slot"),
            http,
        }
    }

    /// The path with the names of things that there are.
    fn path(&self, path: &str) -> String {
        let key = match path {
            "/cache/{key}" => "greeting",
            "/cache/{key}/incr" => "visits",
            _ => "present",
        };
        let lock = if path.ends_with("/upgrade") { &self.shared } else { &self.lock };
        let filled = path
            .replace("/slots/{policy}/{key}", "/slots/jobs/ann")
            .replace("{key}", key)
            .replace("{lock_id}", lock)
            .replace("{id}", &self.reservation)
            .replace("{slot}", &self.slot)
            .replace("{stream}", "ORDERS")
            .replace("{consumer}", "work")
            .replace("{bucket}", "COLOURS")
            .replace("{name}", "api");
        if path == "/locks" { format!("{filled}?owner=ann") } else { filled }
    }

    fn ask(&mut self, method: &str, path: &str, body: &Value) -> Response {
        let path = self.path(path);
        self.http.ask(&method.to_uppercase(), &path, &[JSON], body.to_string().as_bytes())
    }
}

/// The example that `/docs` shows of a JSON body.
fn example(description: &Value, operation: &Value) -> Option<Value> {
    let content = operation["requestBody"]["content"].get("application/json")?;
    if let Some(example) = content.get("example") {
        return Some(example.clone());
    }
    let schema = &content["schema"];
    let either = schema["oneOf"].as_array().into_iter().flatten();
    let name = std::iter::once(schema).chain(either).find_map(|schema| schema["$ref"].as_str())?;
    let name = name.rsplit('/').next()?;
    Some(description["components"]["schemas"][name].get("example").unwrap_or(&Value::Null).clone())
}

#[test]
fn every_example_of_a_body_succeeds_as_it_stands() {
    let server = Server::quartet(&["--http-port", "0", "--requirepass", ""]);
    let mut things = Things::make(&server);
    let text = quartet::http::openapi().to_json().expect("it is JSON");
    let description: Value = serde_json::from_str(&text).expect("it was just written");
    let (mut count, mut failed) = (0, String::new());
    for (path, operations) in description["paths"].as_object().expect("there are paths") {
        // Commands and their arguments have tests of their own.
        if path.starts_with("/redis") {
            continue;
        }
        for (method, operation) in operations.as_object().expect("a path has operations") {
            let Some(body) = example(&description, operation) else { continue };
            count += 1;
            let answer = things.ask(method, path, &body);
            let other = OF_THE_CLIENT.iter().find(|(other, _)| other == path).map(|(_, status)| *status);
            if !other.map_or(answer.status < 300, |status| answer.status == status) {
                failed += &format!("{method} {path} {body}: {} {}\n", answer.status, answer.text());
            }
        }
    }
    assert!(failed.is_empty(), "{failed}");
    assert!(count >= 25, "{count}");
}
