//! The examples and defaults of the description, held against its own schemas and against the server.

use crate::exchange::{ask, asked, started};
use serde_json::Value;
use std::net::{Ipv4Addr, Ipv6Addr};
use sx_http::Role;

fn description() -> Value {
    let (server, _exchange) = started();
    ask(&server, "", "GET", "/openapi.json", "", "").json()
}

/// What a reference leads to, or what stands there itself.
fn resolved<'d>(description: &'d Value, value: &'d Value) -> &'d Value {
    match value["$ref"].as_str() {
        Some(reference) => description.pointer(reference.trim_start_matches('#')).expect("what is referred to"),
        None => value,
    }
}

#[test]
fn every_example_and_default_is_valid_by_its_own_schema() {
    let description = description();
    let (mut open, mut examples, mut defaults) = (vec![&description], 0, 0);
    while let Some(value) = open.pop() {
        if let Some(example) = value.get("example") {
            examples += 1;
            assert_eq!(faults(&description, &value["schema"], example), [""; 0], "{value}");
        }
        if let Some(default) = value.get("default").filter(|_| value.get("type").is_some()) {
            defaults += 1;
            assert_eq!(faults(&description, value, default), [""; 0], "{value}");
        }
        open.extend(value.as_object().into_iter().flat_map(|object| object.values()));
        open.extend(value.as_array().into_iter().flatten());
    }
    assert!(examples >= 12 && defaults >= 3, "{examples} examples, {defaults} defaults");
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let description = description();
    let check = |schema: &str, value: &str, expected: &[&str]| {
        let schema = &description["components"]["schemas"][schema];
        let value = serde_json::from_str(value).expect("JSON");
        assert_eq!(faults(&description, schema, &value), expected, "{value}");
    };
    check("Ban", r#"{"seconds":600,"reason":"it scans"}"#, &[]);
    check("Ban", r#"{"seconds":0,"reason":"","until":1}"#, &["minLength", "minimum", "additionalProperties"]);
    check("Ban", "{}", &["required", "required"]);
    check("Ban", "[]", &["type"]);
    check("NewToken", r#"{"name":"a","role":"king","expires_s":null}"#, &["enum"]);
    let address = &description["components"]["parameters"]["address"]["schema"];
    assert_eq!(faults(&description, address, &"192.0.2.256".into()), ["anyOf"]);
    assert_eq!(faults(&description, address, &"2001:db8::7".into()), [""; 0]);
}

#[test]
fn what_a_client_may_give_has_an_example_and_the_server_takes_it() {
    let description = description();
    let (server, exchange) = started();
    let mut operations = 0;
    for (path, item) in description["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods").iter().filter(|(key, _)| *key != "parameters") {
            let (mut path, mut query, mut lines) = (path.clone(), Vec::new(), String::new());
            let parameters = [&item["parameters"], &operation["parameters"]].into_iter().filter_map(Value::as_array);
            let all: Vec<&Value> = parameters.flatten().map(|parameter| resolved(&description, parameter)).collect();
            let change = all.iter().find(|parameter| parameter["name"] == "change").map(|change| &change["example"]);
            // Some are said with some changes only.
            let fits = |parameter: &&Value| {
                let only = parameter["x-only-with"].as_array();
                only.is_none_or(|changes| changes.iter().any(|one| Some(one) == change))
            };
            for parameter in all.iter().copied().filter(fits) {
                let example = parameter.get("example").unwrap_or_else(|| panic!("no example: {parameter}"));
                let (name, text) = (parameter["name"].as_str().expect("a name"), text_of(example));
                match parameter["in"].as_str() {
                    Some("header") => lines.push_str(&format!("{name}: {text}\r\n")),
                    Some("path") => path = path.replace(&format!("{{{name}}}"), &escaped(&text)),
                    _ => query.push(format!("{name}={}", escaped(&text))),
                }
            }
            let body = match operation.get("requestBody") {
                Some(body) => {
                    let (kind, content) =
                        body["content"].as_object().and_then(|kinds| kinds.iter().next()).expect("one");
                    lines.push_str(&format!("Content-Type: {kind}\r\n"));
                    text_of(content.get("example").expect("an example"))
                }
                None => String::new(),
            };
            let asking = if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) };
            let answer = ask(&server, "sxt_administrator", &method.to_uppercase(), &asking, &lines, &body);
            assert!((200..300).contains(&answer.status), "{method} {asking}: {answer:?}");
            operations += 1;
        }
    }
    // The description itself is asked of nobody.
    assert_eq!(exchange.asked().len(), operations - 1);
}

#[test]
fn a_problem_is_as_it_is_described() {
    let description = description();
    let (server, _exchange) = started();
    let schema = &description["components"]["schemas"]["Problem"];
    for (path, status) in [("/calls?limit=0", 422), ("/nowhere", 404), ("/calls/later", 503)] {
        let answer = asked(&server, Role::Viewer, "GET", path, "");
        assert_eq!(answer.status, status);
        assert_eq!(faults(&description, schema, &answer.json()), [""; 0], "{answer:?}");
    }
}

fn text_of(example: &Value) -> String {
    example.as_str().map_or_else(|| example.to_string(), str::to_owned)
}

fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    text.bytes().map(escape).collect()
}

/// The keywords of a schema that a value does not keep. One that is not known here is no reason to say that all is well.
fn faults(description: &Value, schema: &Value, value: &Value) -> Vec<&'static str> {
    let schema = resolved(description, schema).as_object().expect("a schema");
    let mut found = Vec::new();
    for (keyword, wanted) in schema {
        let is_kept = match keyword.as_str() {
            "type" => one_or_more(wanted).any(|kind| is_of_type(value, kind)),
            "enum" => wanted.as_array().expect("a list").contains(value),
            "minimum" => value.as_i64().is_none_or(|number| Some(number) >= wanted.as_i64()),
            "maximum" => value.as_i64().is_none_or(|number| Some(number) <= wanted.as_i64()),
            "minLength" => length(value).is_none_or(|length| Some(length) >= wanted.as_u64()),
            "maxLength" => length(value).is_none_or(|length| Some(length) <= wanted.as_u64()),
            // The one pattern that there is: no control characters.
            "pattern" => {
                assert_eq!(wanted, "^[^\\u0000-\\u001f\\u007f-\\u009f]+$");
                value.as_str().is_none_or(|text| !text.contains(char::is_control))
            }
            "format" => value.as_str().is_none_or(|text| is_in_format(text, wanted.as_str().expect("a name"))),
            "anyOf" => wanted.as_array().expect("a list").iter().any(|one| faults(description, one, value).is_empty()),
            "items" => {
                found.extend(value.as_array().into_iter().flatten().flat_map(|item| faults(description, wanted, item)));
                true
            }
            "properties" => {
                for (name, schema) in wanted.as_object().expect("an object") {
                    found.extend(value.get(name).into_iter().flat_map(|member| faults(description, schema, member)));
                }
                true
            }
            "required" => {
                let missing = one_or_more(wanted).filter(|name| value.is_object() && value.get(name).is_none());
                found.extend(missing.map(|_| "required"));
                true
            }
            "additionalProperties" => {
                assert_eq!(*wanted, Value::Bool(false), "nothing else is looked for here");
                let known = |name: &String| schema["properties"].get(name).is_some();
                value.as_object().is_none_or(|members| members.keys().all(known))
            }
            "description" | "default" | "contentMediaType" => true,
            unknown => panic!("a keyword that is not known here: {unknown}"),
        };
        if !is_kept {
            found.push(KEYWORDS.iter().find(|known| *known == keyword).expect("one of those above"));
        }
    }
    found.sort_by_key(|keyword| KEYWORDS.iter().position(|known| known == keyword));
    found
}

const KEYWORDS: [&str; 11] = [
    "pattern",
    "type",
    "enum",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "format",
    "anyOf",
    "required",
    "additionalProperties",
];

fn one_or_more(value: &Value) -> impl Iterator<Item = &str> {
    value.as_str().into_iter().chain(value.as_array().into_iter().flatten().filter_map(Value::as_str))
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "null" => value.is_null(),
        unknown => panic!("a type that is not known here: {unknown}"),
    }
}

fn length(value: &Value) -> Option<u64> {
    Some(value.as_str()?.chars().count() as u64)
}

fn is_in_format(text: &str, format: &str) -> bool {
    match format {
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "uri" => text.split_once("://").is_some_and(|(scheme, rest)| !scheme.is_empty() && !rest.contains(' ')),
        "uri-reference" => !text.contains(' '),
        unknown => panic!("a format that is not known here: {unknown}"),
    }
}
