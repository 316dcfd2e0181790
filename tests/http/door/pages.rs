//! Pages about the API: its description, and the documentation that a browser opens.

use crate::support::in_process::InProcess;

#[test]
fn the_description_names_every_path() {
    let server = InProcess::start(&[]);
    let response = server.http().get("/openapi.json");
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/json")));
    let description = response.json();
    assert_eq!(description["openapi"], "3.1.0");
    for path in ["/cache/{key}", "/health/live", "/health/ready", "/openapi.json", "/problems/{slug}"] {
        assert!(description["paths"][path].is_object(), "{path} is missing");
    }
}

#[test]
fn every_operation_is_described_whole() {
    let description = serde_json::to_value(quartet::http::openapi()).expect("it is JSON");
    let mut ids = std::collections::HashSet::new();
    for (path, operations) in description["paths"].as_object().expect("it has paths") {
        for (method, operation) in operations.as_object().expect("a path has operations") {
            let name = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{name} has no summary");
            assert!(operation["tags"].is_array(), "{name} has no tag");
            let responses = operation["responses"].as_object().expect("an operation has responses");
            for (status, response) in responses {
                assert!(
                    response["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{name} {status}"
                );
            }
            let id = operation["operationId"].as_str().expect("an operation has an id");
            assert!(ids.insert(id.to_owned()), "{name}: the id {id} is another operation's too");
        }
    }
}

#[test]
fn the_documentation_needs_nothing_from_elsewhere() {
    let server = InProcess::start(&[]);
    let mut http = server.http();
    let response = http.get("/docs");
    assert!((300..400).contains(&response.status), "{response:?}");
    assert_eq!(response.header("location"), Some("/docs/"));
    let page = http.get("/docs/");
    assert_eq!(page.status, 200);
    let text = page.text().to_owned();
    let linked: Vec<_> = ["src=\"", "href=\""]
        .iter()
        .flat_map(|start| text.match_indices(start).map(|(at, start)| &text[at + start.len()..]))
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(linked.len() >= 3, "{text}");
    for link in linked {
        assert!(!link.contains("//"), "{link} is elsewhere");
        let response = http.get(&format!("/docs/{}", link.trim_start_matches("./")));
        assert!(response.status == 200 && !response.body.is_empty(), "{link}");
    }
    assert!(http.get("/docs/swagger-initializer.js").text().contains("/openapi.json"));
}
