//! The description of the server, and whether the server does what it says.

use std::collections::BTreeSet;

use serde_json::Value;

use super::golden::{Stage, http};

/// A reply: its status, headers in small letters, and body.
struct Told {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Told {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }
}

/// Sends one request to a server that has the key `greeting`, on a connection of its own.
fn ask(method: &str, target: &str, headers: &[(String, String)], body: Option<&str>) -> Told {
    let mut stage = Stage::new(http());
    stage.receive(b"PUT /kv/greeting HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi");
    stage.settle();
    stage.output.take();
    let mut request = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n");
    for (name, value) in headers {
        request.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(body) = body {
        request.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    request.push_str("\r\n");
    request.push_str(body.unwrap_or_default());
    stage.receive(request.as_bytes());
    stage.settle();
    let reply = String::from_utf8(stage.output.take()).expect("replies here are text");
    let (head, body) = reply.split_once("\r\n\r\n").expect("it has a head");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|status| status.parse().ok());
    let headers = lines.filter_map(|line| line.split_once(": "));
    let headers = headers.map(|(name, value)| (name.to_lowercase(), value.to_owned())).collect();
    Told { status: status.expect("it has a status"), headers, body: body.to_owned() }
}

fn document() -> Value {
    serde_json::from_str(&ask("GET", "/openapi.json", &[], None).body).expect("it is JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// What a parameter adds to a request.
fn add(parameter: &Value, target: &mut String, headers: &mut Vec<(String, String)>) {
    let (name, example) = (text(&parameter["name"]), text(&parameter["example"]));
    match text(&parameter["in"]) {
        "path" => *target = target.replace(&format!("{{{name}}}"), example),
        "query" => {
            let separator = if target.contains('?') { '&' } else { '?' };
            target.push_str(&format!("{separator}{name}={example}"));
        }
        _ => headers.push((name.to_owned(), example.to_owned())),
    }
}

fn assert_as_described(operation: &Value, asked: &str, told: &Told) {
    let described = &operation["responses"][told.status.to_string()];
    assert!(described.is_object(), "{asked}: {} is not described", told.status);
    match described["content"].as_object() {
        None => assert!(told.body.is_empty(), "{asked}: {}", told.body),
        Some(content) => {
            let media_type = told.header("content-type").unwrap_or_else(|| panic!("{asked}: no type"));
            let media_type = media_type.split(';').next().unwrap();
            assert!(content.contains_key(media_type) || content.contains_key("*/*"), "{asked}: {media_type}");
            if media_type == "application/json" {
                let body: Value =
                    serde_json::from_str(&told.body).unwrap_or_else(|_| panic!("{}", told.body));
                assert!(body.is_object(), "{asked}");
            }
        }
    }
    for name in described["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
        assert!(told.header(&name.to_lowercase()).is_some(), "{asked}: {name} is missing");
    }
}

#[test]
fn each_operation_is_served_as_it_is_described() {
    let document = document();
    let mut served = 0;
    for (path, operations) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in operations.as_object().expect("a path has operations") {
            let method = method.to_uppercase();
            let parameters = operation["parameters"].as_array().expect("a list");
            let (required, optional): (Vec<_>, Vec<_>) =
                parameters.iter().partition(|parameter| parameter["required"] == true);
            let content = operation["requestBody"]["content"].as_object();
            let body = content.and_then(|content| content.values().next()).map(|of| match &of["example"] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            // Alone, then with each parameter that it may have.
            for with in std::iter::once(None).chain(optional.into_iter().map(Some)) {
                let (mut target, mut headers) = (path.clone(), Vec::new());
                required.iter().for_each(|parameter| add(parameter, &mut target, &mut headers));
                with.iter().for_each(|parameter| add(parameter, &mut target, &mut headers));
                let asked = format!("{method} {target} {headers:?}");
                let told = ask(&method, &target, &headers, body.as_deref());
                let is_refused = told.status >= 400 && !matches!(told.status, 409 | 410 | 412);
                assert!(!is_refused, "{asked}: {} {}", told.status, told.body);
                assert_as_described(operation, &asked, &told);
                served += 1;
            }
        }
    }
    assert!(served > 30, "{served} requests were served");
}

#[test]
fn each_resource_has_the_methods_that_are_described_and_no_others() {
    let document = document();
    for (path, operations) in document["paths"].as_object().expect("there are paths") {
        let target = path.replace("{key}", "greeting");
        let mut described: BTreeSet<String> = operations
            .as_object()
            .expect("a path has operations")
            .keys()
            .map(|method| method.to_uppercase())
            .collect();
        described.insert("OPTIONS".into());
        let told = ask("OPTIONS", &target, &[], None);
        let allowed: BTreeSet<String> =
            told.header("allow").expect("it says so").split(", ").map(str::to_owned).collect();
        // A HEAD is a GET without its body.
        let own: BTreeSet<String> = allowed.iter().filter(|method| *method != "HEAD").cloned().collect();
        assert_eq!(own, described, "{path}");
        for method in ["GET", "PUT", "DELETE", "POST", "PATCH"] {
            let status = ask(method, &target, &[], None).status;
            assert_eq!(status == 405, !described.contains(method), "{method} {path}: {status}");
        }
    }
}

#[test]
fn errors_are_as_described() {
    let document = document();
    let required = document["components"]["schemas"]["Error"]["required"].as_array().expect("a list");
    for (method, target) in [("GET", "/nothing"), ("GET", "/kv/none"), ("GET", "/kv/greeting?read=x")] {
        let body: Value = serde_json::from_str(&ask(method, target, &[], None).body).expect("it is JSON");
        assert!(required.iter().all(|member| body[text(member)].is_string()), "{target}: {body}");
    }
}
