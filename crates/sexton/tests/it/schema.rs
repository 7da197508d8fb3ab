//! A small judge of JSON Schemas, of its own so that the program does not judge itself.

use serde_json::Value;

/// What in `value` does not fit `schema`.
pub fn faults(value: &Value, schema: &Value) -> Vec<String> {
    let mut all = Vec::new();
    judge(value, schema, schema, ("$", false), &mut all);
    all
}

/// `open`: keys that are not described are fine here, because another part of the schema describes them.
fn judge(value: &Value, schema: &Value, root: &Value, (at, open): (&str, bool), all: &mut Vec<String>) {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let target = name.rsplit('/').next().and_then(|name| root["$defs"].get(name));
        return judge(value, target.unwrap_or_else(|| panic!("{name} leads nowhere")), root, (at, open), all);
    }
    for word in ["oneOf", "anyOf"] {
        let Some(variants) = schema.get(word).and_then(Value::as_array) else { continue };
        let fits = variants.iter().any(|variant| {
            let mut own = Vec::new();
            judge(value, variant, root, (at, true), &mut own);
            own.is_empty()
        });
        if !fits {
            all.push(format!("{at}: no variant fits {value}"));
        }
    }
    if let Some(only) = schema.get("const").filter(|only| *only != value) {
        all.push(format!("{at}: {value} is not {only}"));
    }
    if let Some(some) = schema.get("enum").and_then(Value::as_array).filter(|some| !some.contains(value)) {
        all.push(format!("{at}: {value} is none of {some:?}"));
    }
    let sorts: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(several)) => several.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !sorts.is_empty() && !sorts.iter().any(|sort| is(value, sort)) {
        all.push(format!("{at}: {value} is no {sorts:?}"));
    }
    if let Some(entries) = value.as_object() {
        for name in
            schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
        {
            if !entries.contains_key(name) {
                all.push(format!("{at}: {name} is missing"));
            }
        }
        // Variants (`oneOf`) name their own properties; without a list of its own this level knows nothing.
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        for (name, inner) in entries {
            let at = format!("{at}.{name}");
            match (properties.get(name), schema.get("additionalProperties")) {
                (Some(known), _) => judge(inner, known, root, (&at, false), all),
                (None, Some(Value::Bool(true))) => {}
                (None, Some(any @ Value::Object(_))) => judge(inner, any, root, (&at, false), all),
                (None, Some(_)) => all.push(format!("{at} is unknown")),
                (None, None) if open || schema.get("oneOf").is_some() => {}
                (None, None) => all.push(format!("{at} is not described")),
            }
        }
    }
    if let (Some(items), Some(of_items)) = (value.as_array(), schema.get("items")) {
        for (n, item) in items.iter().enumerate() {
            judge(item, of_items, root, (&format!("{at}[{n}]"), false), all);
        }
    }
}

fn is(value: &Value, sort: &str) -> bool {
    match sort {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}
