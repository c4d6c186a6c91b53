//! The description of the API fits what is answered.

use serde_json::Value;

use super::client::{Http, Server, request};
use super::talk;
use crate::command_line::Folder;

#[test]
fn each_described_operation_is_there_and_no_other() {
    talk(async {
        let folder = Folder::new();
        let server = Server::start(&folder);
        let description = server.answer(Http::One, request("GET", "/openapi.json", &[], "")).await.json();
        assert_eq!(description["openapi"], "3.0.3");
        let paths = description["paths"].as_object().expect("paths");
        assert!(paths.len() > 20 && paths.contains_key("/openapi.json"));
        for (path, operations) in paths {
            let operations = operations.as_object().expect("operations");
            let path = path.replace(['{', '}'], "");
            for method in ["get", "post", "put", "delete"] {
                // A body that is no JSON changes nothing.
                let accept = accepted(&operations.get(method).cloned().unwrap_or_default());
                let asked = request(&method.to_uppercase(), &path, &[("accept", &accept)], "x");
                let answer = server.answer(Http::Two, asked).await;
                let Some(operation) = operations.get(method) else {
                    assert_eq!(answer.status, 405, "{method} {path}");
                    let allowed = answer.allow.expect("what is allowed").to_lowercase();
                    assert!(operations.contains_key(&allowed), "{method} {path}: {allowed}");
                    continue;
                };
                assert_ne!(answer.status, 405, "{method} {path}");
                let described = &operation["responses"][answer.status.to_string()];
                assert!(described.is_object(), "{method} {path}: {}", answer.status);
                if answer.status == 200 {
                    let content_type = answer.content_type.expect("a content type");
                    assert!(described["content"][content_type].is_object(), "{method} {path}");
                }
            }
        }
    });
}

/// The first of the media types of an operation.
fn accepted(operation: &Value) -> String {
    let all = operation["responses"]["200"]["content"].as_object();
    all.and_then(|all| all.keys().next()).map_or("*/*", String::as_str).to_owned()
}
