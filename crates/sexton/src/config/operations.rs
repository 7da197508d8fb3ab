//! From an operation of the configuration (or a kind, for one-offs) and the flags of a command to what the engine is asked.
//!
//! Precedence: flag, then operation, then `[defaults]` (S2-095). Flags go through the same schema as the file.

use super::document::{Node, Value};
use super::problem::Problem;
use super::schema::Schema;
use super::whole::{manners_schema, operation_schema};
use super::{Config, OperationSetting};
use engine::{Kind, Manners, OperationRequest};
use notify::settings::AlertsSection;
use serde_json::{Map, Value as Json};
use std::path::Path;
use targets::db::{Error, Result};

/// Keys of an operation that are neither manners nor options of its kind.
const COMMON: [&str; 8] =
    ["kind", "database", "title", "severity", "backup", "needs", "verify_after", "expected"];

/// The option of kinds that count and alert above something; `[alerts]` and schedules may say it too.
pub const THRESHOLD: &str = "threshold";

/// The keys of manners, by asking their schema.
pub static MANNERS: std::sync::LazyLock<Vec<String>> = std::sync::LazyLock::new(|| {
    Schema::of(&manners_schema()).properties().iter().map(|property| property.name.to_owned()).collect()
});

/// What flags say otherwise.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Manners and options by name, from flags that belong to a schema, or from `--set`.
    pub values: Vec<Override>,
    /// The database to work on.
    pub database: Option<String>,
}

/// One such value.
#[derive(Debug, Clone)]
pub struct Override {
    /// The key, with dots for tables inside.
    pub key: String,
    /// The flag it came from, for messages.
    pub flag: String,
    /// The value.
    pub value: Node,
}

/// The options of the kind among the keys of an operation. Paths begin at the file's folder.
pub fn options_of(operation: &Node, kind: &dyn Kind, folder: &Path) -> Map<String, Json> {
    let schema = kind.schema().to_value();
    let is_path = |name: &str| schema["properties"][name]["format"] == "path";
    operation
        .entries()
        .iter()
        .filter(|(name, _)| !COMMON.contains(&name.as_str()) && !MANNERS.contains(name))
        .map(|(name, node)| match node.text().filter(|_| is_path(name)) {
            Some(path) => (name.clone(), folder.join(path).display().to_string().into()),
            None => (name.clone(), node.json()),
        })
        .collect()
}

/// The manners among the keys of a table.
pub fn manners_of(table: &Node) -> Map<String, Json> {
    table
        .entries()
        .iter()
        .filter(|(name, _)| MANNERS.contains(name))
        .map(|(name, node)| (name.clone(), node.json()))
        .collect()
}

/// Changes manners as flags say.
pub fn override_manners(manners: &mut Manners, said: &[Override]) -> Result<()> {
    let wrong = |error| Error::usage("the manners cannot be read").because(error);
    let mut json = serde_json::to_value(&*manners).map_err(wrong)?;
    for one in said {
        check_override(&manners_schema(), one)?;
        json[&one.key] = one.value.json();
    }
    *manners = serde_json::from_value(json).map_err(wrong)?;
    Ok(())
}

impl Config {
    /// The names of all operations, in the order of the file.
    pub fn operation_names(&self) -> Vec<&str> {
        self.operations.iter().map(|operation| operation.name.as_str()).collect()
    }

    /// What the engine is asked for one operation.
    pub fn request(&self, operation: &OperationSetting, overrides: &Overrides) -> Result<OperationRequest> {
        let mut manners = self.manners.clone();
        manners.extend(operation.manners.clone());
        let mut options = Json::Object(operation.options.clone());
        let mut request = OperationRequest {
            name: operation.name.clone(),
            kind: operation.kind.name().to_owned(),
            title: operation.title.clone(),
            database: overrides.database.clone().unwrap_or_else(|| operation.database.clone()),
            severity: operation.severity,
            backup: operation.backup,
            options: Json::Null,
            manners: Manners::default(),
            needs: operation.needs.clone(),
            verifies: Vec::new(),
            expected_seconds: operation.expected_seconds,
        };
        let schema = operation_schema(operation.kind);
        for one in &overrides.values {
            check_override(&schema, one)?;
            if MANNERS.contains(&one.key) {
                manners.insert(one.key.clone(), one.value.json());
            } else if COMMON.contains(&one.key.as_str()) {
                // A flag must not be able to make an operation look harmless.
                return Err(Error::usage(format!("`{}` can only be set in the configuration", one.key)));
            } else {
                override_option(&mut options, operation.kind, &one.key, &one.value.json());
            }
        }
        if Self::has_option(operation.kind, THRESHOLD) && options.get(THRESHOLD).is_none() {
            let most = self.notify.alerts.duplicates;
            if most != AlertsSection::default().duplicates {
                options[THRESHOLD] = most.into();
            }
        }
        self.fill_zone(operation.kind, &request.database, &mut options);
        request.manners = serde_json::from_value(Json::Object(manners))
            .map_err(|error| Error::usage("the manners cannot be read").because(error))?;
        request.options = options;
        Ok(request)
    }

    /// Whether a kind has an option, or all operations a manner, of this name.
    pub fn has_option(kind: &dyn Kind, key: &str) -> bool {
        let first = key.split('.').next().unwrap_or(key);
        let schema = operation_schema(kind);
        Schema::of(&schema).property(first).is_some()
    }

    /// The zone of the database is that of options which say none.
    fn fill_zone(&self, kind: &dyn Kind, database: &str, options: &mut Json) {
        let zone =
            self.databases.iter().find(|known| known.name == database).and_then(|known| known.zone.clone());
        let Some(zone) = zone else { return };
        let schema = kind.schema().to_value();
        let schema = Schema::of(&schema);
        fill(schema, options, &zone);
        for property in schema.properties() {
            let (Some(of_items), Some(Json::Array(items))) =
                (property.schema.items(), options.get_mut(property.name))
            else {
                continue;
            };
            for item in items {
                fill(of_items, item, &zone);
            }
        }
    }
}

fn fill(schema: Schema<'_>, options: &mut Json, zone: &str) {
    if schema.property("zone").is_some()
        && let Json::Object(options) = options
        && !options.contains_key("zone")
    {
        options.insert("zone".to_owned(), zone.into());
    }
}

/// Checks one value as if it stood in the file.
fn check_override(schema: &Json, one: &Override) -> Result<()> {
    let mut value = one.value.clone();
    for name in one.key.rsplit('.') {
        let span = value.span.clone();
        value = Node {
            path: name.to_owned(),
            name_span: span.clone(),
            span,
            value: Value::Table(vec![(name.to_owned(), Node { path: one.key.clone(), ..value })]),
        };
    }
    let mut problems = Vec::new();
    let mut open = schema.clone();
    open["required"] = Json::Array(Vec::new());
    Schema::of(&open).check(&value, &mut problems);
    match problems.into_iter().next() {
        None => Ok(()),
        Some(Problem { what, allowed, help, .. }) => {
            let error = Error::usage(format!("`{}`: {what}", one.flag));
            Err(match help.or(allowed.map(|allowed| format!("allowed: {allowed}"))) {
                Some(help) => error.help(help),
                None => error,
            })
        }
    }
}

/// Sets an option. Where the operation lists its targets, what each target has is set in the targets: in all of them
/// when it has a default, else in those that say something about it (in all when none does).
fn override_option(options: &mut Json, kind: &dyn Kind, key: &str, value: &Json) {
    let first = key.split('.').next().unwrap_or(key);
    let json = kind.schema().to_value();
    let schema = Schema::of(&json);
    for property in schema.properties() {
        let Some(of_items) = property.schema.items().filter(|items| items.is("object")) else { continue };
        let Some(of_target) = of_items.property(first).filter(|_| schema.property(first).is_some()) else {
            continue;
        };
        let written_directly = of_items.properties().iter().any(|known| options.get(known.name).is_some());
        let Some(Json::Array(targets)) = options.get_mut(property.name).filter(|_| !written_directly) else {
            continue;
        };
        let some_say = targets.iter().any(|target| target.get(first).is_some());
        for target in targets.iter_mut() {
            if of_target.default.is_some() || !some_say || target.get(first).is_some() {
                set(target, key, value.clone());
            }
        }
        return;
    }
    set(options, key, value.clone());
}

fn set(options: &mut Json, key: &str, value: Json) {
    let mut place = options;
    for name in key.split('.') {
        if !place.is_object() {
            *place = Json::Object(Map::new());
        }
        place = &mut place[name];
    }
    *place = value;
}
