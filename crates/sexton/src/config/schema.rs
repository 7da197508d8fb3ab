//! Checks a tree against a JSON Schema, strictly: a key that the schema does not name is a mistake.
//!
//! Knows the part of JSON Schema that schemars writes, and the formats `age`, `window` and `zone` of our own. The same
//! schemas give flags, reference and the schema for editors, so nothing is described twice.

use super::document::{Node, Value};
use super::problem::Problem;
use serde_json::{Map, Value as Json};

/// One schema together with the definitions it refers to.
#[derive(Clone, Copy)]
pub struct Schema<'a> {
    json: &'a Json,
    definitions: Option<&'a Json>,
}

impl<'a> Schema<'a> {
    /// A whole schema document.
    pub fn of(json: &'a Json) -> Self {
        Self { json, definitions: json.get("$defs") }
    }

    /// A definition of a schema document.
    pub fn within(json: &'a Json, document: &'a Json) -> Self {
        Self { json, definitions: document.get("$defs") }
    }

    /// The schema of the values, when it is a table with free names.
    pub fn values(self) -> Option<Schema<'a>> {
        self.json.get("additionalProperties").filter(|any| any.is_object()).map(|any| self.at(any))
    }

    /// The schema of a value inside this one. References and `null` alternatives are seen through.
    fn at(self, json: &'a Json) -> Self {
        let mut json = json;
        loop {
            if let Some(name) = json.get("$ref").and_then(Json::as_str) {
                let target =
                    name.rsplit('/').next().and_then(|name| self.definitions.and_then(|all| all.get(name)));
                match target {
                    Some(target) => json = target,
                    None => break,
                }
            } else if let Some([only]) = alternatives(json).as_deref() {
                json = only;
            } else {
                break;
            }
        }
        Self { json, definitions: self.definitions }
    }

    /// The named properties with their schemas and help texts.
    pub fn properties(self) -> Vec<Property<'a>> {
        let Some(all) = self.json.get("properties").and_then(Json::as_object) else { return Vec::new() };
        all.iter()
            .map(|(name, json)| Property {
                name,
                about: json.get("description").and_then(Json::as_str).unwrap_or_default(),
                default: json.get("default").filter(|default| !default.is_null()),
                format: json.get("format").and_then(Json::as_str),
                schema: self.at(json),
            })
            .collect()
    }

    /// The property of this name.
    pub fn property(self, name: &str) -> Option<Property<'a>> {
        self.properties().into_iter().find(|property| property.name == name)
    }

    /// The schema of the items, when it is a list.
    pub fn items(self) -> Option<Schema<'a>> {
        self.json.get("items").map(|items| self.at(items))
    }

    /// Whether values of this sort are expected: `string`, `integer`, `number`, `boolean`, `array`, `object`.
    pub fn is(self, sort: &str) -> bool {
        match self.json.get("type") {
            Some(Json::String(only)) => only == sort,
            Some(Json::Array(several)) => several.iter().any(|one| one == sort),
            _ => sort == "string" && !self.choices().is_empty(),
        }
    }

    /// Whether a value of this sort is one of several sorts that are expected.
    pub fn may_be(self, sort: &str) -> bool {
        self.is(sort) || alternatives(self.json).into_iter().flatten().any(|one| self.at(one).is(sort))
    }

    /// What a text must look like.
    pub fn format(self) -> Option<&'a str> {
        self.json.get("format").and_then(Json::as_str)
    }

    /// The names allowed, when only some are.
    pub fn choices(self) -> Vec<&'a str> {
        if let Some(all) = self.json.get("enum").and_then(Json::as_array) {
            return all.iter().filter_map(Json::as_str).collect();
        }
        if let Some(only) = self.json.get("const").and_then(Json::as_str) {
            return vec![only];
        }
        let of_variant = |variant: &'a Json| -> Option<&'a str> {
            variant.get("const").or_else(|| variant.get("enum").and_then(|all| all.get(0)))?.as_str()
        };
        match alternatives(self.json) {
            Some(variants) => variants.into_iter().filter_map(of_variant).collect(),
            None => Vec::new(),
        }
    }

    /// In words: `string`, `integer`, `list of strings`, one of some names.
    pub fn wanted(self) -> String {
        let choices = self.choices();
        if !choices.is_empty() {
            return choices.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        }
        if let Some(items) = self.items() {
            let wanted = items.wanted();
            return match wanted.strip_prefix("a ").or_else(|| wanted.strip_prefix("an ")) {
                Some(sort) => format!("a list of {sort}s"),
                None => format!("a list, each of {wanted}"),
            };
        }
        let name = |sort: &str| match sort {
            "integer" => "an integer",
            "number" => "a number",
            "boolean" => "true or false",
            "object" => "a table",
            _ => "a string",
        };
        match self.json.get("type") {
            Some(Json::String(sort)) => name(sort).to_owned(),
            Some(Json::Array(sorts)) => {
                let all: Vec<&str> =
                    sorts.iter().filter_map(Json::as_str).filter(|sort| *sort != "null").map(name).collect();
                all.join(" or ")
            }
            _ => "any value".to_owned(),
        }
    }

    /// Checks a value; what is wrong is added to `problems`.
    pub fn check(self, node: &Node, problems: &mut Vec<Problem>) {
        let schema = self.at(self.json);
        match &node.value {
            Value::Table(entries) if schema.is("object") => schema.check_table(node, entries, problems),
            Value::List(items) if schema.is("array") => {
                for item in items {
                    if let Some(of_items) = schema.items() {
                        of_items.check(item, problems);
                    }
                }
            }
            Value::Table(_) if schema.table_variant().is_some() => {
                if let Some(variant) = schema.table_variant() {
                    variant.check(node, problems);
                }
            }
            _ if schema.takes(&node.value) => schema.check_scalar(node, problems),
            _ => problems.push(schema.wrong_sort(node)),
        }
    }

    fn wrong_sort(self, node: &Node) -> Problem {
        let wanted = if self.choices().is_empty() { self.wanted() } else { "a string".to_owned() };
        let what = format!("`{}` must be {wanted}, not {}", node.name(), node.sort());
        let problem = Problem::new(&node.path, node.span.clone(), what).allowed(self.wanted());
        match (&node.value, self.json.get("format").and_then(Json::as_str)) {
            (Value::Int(number), Some("age")) => problem.help(format!("add the unit: \"{number} days\"")),
            _ => problem,
        }
    }

    /// The alternative that is a table, where a name or a table may stand.
    fn table_variant(self) -> Option<Schema<'a>> {
        let variants = alternatives(self.json).unwrap_or_default();
        variants.into_iter().map(|variant| self.at(variant)).find(|variant| variant.is("object"))
    }

    fn takes(self, value: &Value) -> bool {
        let sort_fits = match value {
            Value::Text(_) | Value::Time(_) => self.is("string"),
            Value::Int(_) => self.is("integer") || self.is("number"),
            Value::Float(_) => self.is("number"),
            Value::Bool(_) => self.is("boolean"),
            Value::List(_) | Value::Table(_) => false,
        };
        let anything_goes = self.json.get("type").is_none() && self.choices().is_empty();
        sort_fits || anything_goes
    }

    fn check_table(self, node: &Node, entries: &[(String, Node)], problems: &mut Vec<Problem>) {
        let properties = self.properties();
        for (name, entry) in entries {
            match properties.iter().find(|property| property.name == name) {
                Some(property) => {
                    let before = problems.len();
                    property.schema.check(entry, problems);
                    if problems.len() == before {
                        check_format(property.format, entry, problems);
                    }
                }
                None => match self.json.get("additionalProperties") {
                    Some(Json::Bool(false)) | None => problems.push(
                        Problem::new(&entry.path, entry.name_span.clone(), format!("unknown key `{name}`"))
                            .among(name, properties.iter().map(|property| property.name)),
                    ),
                    Some(Json::Bool(true)) => {}
                    Some(any) => self.at(any).check(entry, problems),
                },
            }
        }
        let required = self.json.get("required").and_then(Json::as_array).into_iter().flatten();
        for name in required.filter_map(Json::as_str) {
            if !entries.iter().any(|(known, _)| known == name) {
                let what = format!("`{}` has no `{name}`", node.path);
                problems.push(
                    Problem::new(&node.path, node.name_span.clone(), what).help(format!("add `{name} = …`")),
                );
            }
        }
    }

    fn check_scalar(self, node: &Node, problems: &mut Vec<Problem>) {
        let choices = self.choices();
        if let Some(text) = node.text()
            && !choices.is_empty()
            && !choices.contains(&text)
        {
            let what = format!("`{}` cannot be \"{text}\"", node.name());
            problems.push(Problem::new(&node.path, node.span.clone(), what).among(text, choices));
            return;
        }
        let number = match node.value {
            Value::Int(number) => number as f64,
            Value::Float(number) => number,
            _ => return check_format(self.json.get("format").and_then(Json::as_str), node, problems),
        };
        // Durations and counts are made from it.
        if !number.is_finite() || number > MOST {
            let what = format!("`{}` is too large", node.name());
            problems.push(Problem::new(&node.path, node.span.clone(), what));
        }
        if let Some(least) = self.json.get("minimum").and_then(Json::as_f64).filter(|least| number < *least) {
            let what = format!("`{}` must not be less than {least}", node.name());
            problems.push(Problem::new(&node.path, node.span.clone(), what));
        }
        if let Some(most) = self.json.get("maximum").and_then(Json::as_f64).filter(|most| number > *most) {
            let what = format!("`{}` must not be more than {most}", node.name());
            problems.push(Problem::new(&node.path, node.span.clone(), what));
        }
    }
}

/// One named property.
pub struct Property<'a> {
    /// Its name.
    pub name: &'a str,
    /// The help text.
    pub about: &'a str,
    /// What it is when it is not given.
    pub default: Option<&'a Json>,
    /// What the text must look like.
    pub format: Option<&'a str>,
    /// Its schema.
    pub schema: Schema<'a>,
}

impl Property<'_> {
    /// The default for people; none when it is unset.
    pub fn shown_default(&self) -> Option<String> {
        match self.default? {
            Json::String(text) => Some(text.clone()),
            Json::Array(items) if items.is_empty() => None,
            Json::Object(entries) if entries.is_empty() => None,
            other => Some(other.to_string()),
        }
    }
}

/// Lays the properties and definitions of several schemas together, those of the first one first.
pub fn together(schemas: &[&Json]) -> Json {
    let mut properties = Map::new();
    let mut definitions = Map::new();
    for schema in schemas {
        for (from, to) in [("properties", &mut properties), ("$defs", &mut definitions)] {
            for (name, json) in schema.get(from).and_then(Json::as_object).into_iter().flatten() {
                to.entry(name.clone()).or_insert_with(|| json.clone());
            }
        }
    }
    serde_json::json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": definitions,
    })
}

fn alternatives(json: &Json) -> Option<Vec<&Json>> {
    let all = json.get("oneOf").or_else(|| json.get("anyOf"))?.as_array()?;
    Some(all.iter().filter(|one| one.get("type").is_none_or(|sort| sort != "null")).collect())
}

/// No setting counts or lasts longer than this.
const MOST: f64 = 1e15;

/// Reads a size such as `5 GB` or `200 MB`.
pub fn bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let number: f64 = text[..end].parse().ok()?;
    let unit = match text[end..].trim().to_lowercase().as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        _ => return None,
    };
    Some((number * unit) as u64)
}

fn check_format(format: Option<&str>, node: &Node, problems: &mut Vec<Problem>) {
    let Some(text) = node.text() else { return };
    let outcome = match format {
        Some("age") => engine::age::Age(text.to_owned()).span().map(|_| ()),
        Some("zone") => engine::age::zone(text).map(|_| ()),
        Some("window") => engine::check_window(text),
        Some("size") => match bytes(text) {
            Some(_) => Ok(()),
            None => Err(engine::Error::usage(format!("`{text}` is not a size"))
                .help("write it like `200 MB`, `5 GB` or `1 TB`")),
        },
        _ => return,
    };
    if let Err(error) = outcome {
        let problem = Problem::new(&node.path, node.span.clone(), error.what);
        problems.push(match error.help {
            Some(help) => problem.help(help),
            None => problem,
        });
    }
}
