//! `GET /openapi.json`: what the server serves, for programs (OpenAPI 3.1).

use std::sync::OnceLock;

use serde_json::{Map, Value, json};

use super::resources::{
    ANYWHERE, Answer, Content, ELSEWHERE, Operation, Parameter, Place, RESOURCES, Resource,
};

/// The document, made once.
pub(super) fn document() -> &'static [u8] {
    static DOCUMENT: OnceLock<Vec<u8>> = OnceLock::new();
    DOCUMENT.get_or_init(|| {
        let mut bytes = serde_json::to_vec(&whole()).expect("texts can be written as JSON");
        bytes.push(b'\n');
        bytes
    })
}

fn whole() -> Value {
    let paths: Map<String, Value> =
        RESOURCES.iter().map(|resource| (resource.path.to_owned(), path(resource))).collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Niagara",
            "summary": "A replicated key-value store",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic" },
                "bearer": { "type": "http", "scheme": "bearer" },
            },
        },
        // Neither, where the server has no password.
        "security": [{}, { "basic": [] }, { "bearer": [] }],
    })
}

fn path(resource: &Resource) -> Value {
    let operations = resource.operations.iter();
    operations.map(|one| (one.method.to_lowercase(), operation(one))).collect::<Map<_, _>>().into()
}

fn operation(one: &Operation) -> Value {
    // A follower takes snapshots itself.
    let is_for_members = one.method != "GET" && one.id != "snapshot";
    let elsewhere = is_for_members.then_some(&ELSEWHERE);
    let replies = one.replies.iter().chain(&ANYWHERE).chain(elsewhere);
    let responses: Map<String, Value> =
        replies.map(|reply| (reply.status.to_string(), response(reply))).collect();
    let mut described = json!({
        "operationId": one.id,
        "summary": one.summary,
        "parameters": one.parameters.iter().map(parameter).collect::<Vec<_>>(),
        "responses": responses,
    });
    if let Some(body) = &one.body {
        described["requestBody"] = json!({ "required": true, "content": content(body) });
    }
    described
}

fn parameter(one: &Parameter) -> Value {
    let place = match one.place {
        Place::Path => "path",
        Place::Query => "query",
        Place::Header => "header",
    };
    json!({
        "name": one.name,
        "in": place,
        "required": one.place == Place::Path,
        "description": one.about,
        "schema": schema(one.schema),
        "example": one.example,
    })
}

fn response(one: &Answer) -> Value {
    let mut described = json!({ "description": one.about });
    if let Some(of) = &one.content {
        described["content"] = content(of);
    }
    let headers = one.headers.iter();
    let headers: Map<String, Value> =
        headers.map(|name| ((*name).to_owned(), json!({ "schema": { "type": "string" } }))).collect();
    if !headers.is_empty() {
        described["headers"] = headers.into();
    }
    described
}

fn content(one: &Content) -> Value {
    let mut described = json!({ "schema": schema(one.schema) });
    if !one.example.is_empty() {
        described["example"] = serde_json::from_str(one.example).unwrap_or_else(|_| one.example.into());
    }
    let mut by_type = Map::new();
    by_type.insert(one.media_type.to_owned(), described);
    by_type.into()
}

fn schema(text: &str) -> Value {
    serde_json::from_str(text).expect("a test reads all schemas")
}

/// Those that several operations share.
fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let key = json!({ "key": text, "key_base64": text });
    let with_key = |more: Value| {
        let mut properties = key.clone();
        let more = more.as_object().cloned().unwrap_or_default();
        properties.as_object_mut().expect("it is an object").extend(more);
        json!({ "type": "object", "additionalProperties": false, "properties": properties })
    };
    let value = json!({ "value": text, "value_base64": text });
    let mut put = value.clone();
    put["content_type"] = text.clone();
    put["ttl"] = text.clone();
    let mut compare = value;
    compare["version"] = text.clone();
    for bound in ["before", "before_base64", "after", "after_base64"] {
        compare[bound] = text.clone();
    }
    compare["exists"] = json!({ "type": "boolean" });
    let operation = json!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {
            "put": with_key(put),
            "get": with_key(json!({})),
            "delete": with_key(json!({})),
        },
    });
    let operations = json!({ "type": "array", "items": operation });
    json!({
        "Error": {
            "type": "object",
            "required": ["error", "message", "hint"],
            "properties": { "error": text, "message": text, "hint": text },
        },
        "Page": {
            "type": "object",
            "required": ["position", "keys"],
            "properties": {
                "position": { "type": "integer" },
                "keys": { "type": "array", "items": { "type": "object" } },
                "next": text,
            },
        },
        "Transaction": {
            "type": "object",
            "additionalProperties": false,
            "properties": {
                "compare": { "type": "array", "items": with_key(compare) },
                "then": operations,
                "else": operations,
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_every_operation_once() {
        let document: Value = serde_json::from_slice(document()).unwrap();
        let mut ids = Vec::new();
        for resource in &RESOURCES {
            for operation in resource.operations {
                let described = &document["paths"][resource.path][operation.method.to_lowercase()];
                assert_eq!(described["operationId"], operation.id);
                assert!(!ids.contains(&operation.id), "{} occurs twice", operation.id);
                ids.push(operation.id);
                let of_path = operation.parameters.iter().filter(|one| one.place == Place::Path).count();
                assert_eq!(of_path, resource.path.matches('{').count(), "{}", operation.id);
            }
        }
        let text = document.to_string();
        for name in text.split("#/components/schemas/").skip(1) {
            let name = name.split('"').next().unwrap();
            assert!(document["components"]["schemas"][name].is_object(), "{name}");
        }
    }

    /// `docs/http.md` lists the resources.
    #[test]
    fn the_page_lists_the_same_resources() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/http.md");
        let Ok(page) = std::fs::read_to_string(path) else {
            // The package alone has no documentation of the whole.
            return;
        };
        let begin = page.find("| resource | methods |").expect("the page lists resources");
        let rows = page[begin..].lines().skip(2).take_while(|line| line.starts_with('|'));
        let listed: Vec<(String, String)> = rows
            .map(|row| {
                let cells: Vec<&str> = row.split('|').map(str::trim).collect();
                (cells[1].trim_matches('`').to_owned(), cells[2].to_owned())
            })
            .collect();
        let own: Vec<(String, String)> = RESOURCES
            .iter()
            .map(|resource| {
                let methods = resource.operations.iter().flat_map(|operation| {
                    // A HEAD is a GET without its body; a watch has nothing else.
                    let has_head = operation.method == "GET" && resource.path != "/watch";
                    [operation.method].into_iter().chain(has_head.then_some("HEAD"))
                });
                (resource.path.to_owned(), methods.collect::<Vec<_>>().join(", "))
            })
            .collect();
        assert_eq!(listed, own);
    }
}
