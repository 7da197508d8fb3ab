//! What surfaces tell of databases, backups and migrations: the same documents at the command line and over the API.

use crate::choice::{self, Chosen};
use crate::config::{Config, OperationSetting};
use crate::trouble::Trouble;
use crate::wiring::lint::{self, Linted, Terms};
use engine::backup::Backup;
use engine::{Engine, SCHEMA_VERSION};
use serde_json::{Value as Json, json};
use targets::db::Url;

/// What the doctor found in a database, under the name that it has here. Samples are for later looks, not for people.
pub fn looked(name: &str, found: &Json) -> Json {
    let mut one = json!({ "label": name });
    if let (Some(one), Some(found)) = (one.as_object_mut(), found.as_object()) {
        one.extend(found.clone());
        one.shift_remove("sample");
    }
    one
}

/// A backup: the manifest, and where it is.
pub fn backup(backup: &Backup) -> Json {
    let mut json = json!(backup);
    json["path"] = backup.path.clone().into();
    json["size_bytes"] = backup.bytes().into();
    json["sha256"] = backup.sha256().into();
    json["verified"] = backup.is_verified().into();
    json
}

/// Which migrations of an operation are in and which are not (M1).
pub fn migrations(engine: &Engine, config: &Config, operation: &OperationSetting) -> Result<Json, Trouble> {
    let mut request = choice::request(config, &[Chosen::named(operation)], &[], None, "")?;
    for operation in &mut request.operations {
        operation.options["action"] = "status".into();
        if let Some(options) = operation.options.as_object_mut() {
            // What says how far to go is no matter of those who look.
            ["count", "to", "ids"].iter().for_each(|key| drop(options.remove(*key)));
        }
    }
    let plan = engine.plan(&request)?;
    Ok(plan.items.into_iter().next().and_then(|item| item.result).unwrap_or_default())
}

/// What its pending migrations would do to whoever uses the database.
pub fn impact(engine: &Engine, config: &Config, operation: &OperationSetting) -> Result<Json, Trouble> {
    let known = config.databases.iter().find(|database| database.name == operation.database);
    let terms = Terms::new(match known.map(|database| &database.url) {
        Some(Url::Sqlite { .. }) => lint::Engine::Sqlite,
        _ => lint::Engine::Postgres,
    });
    let options = json!(operation.options);
    let linted = engine.look(&operation.database, |facts| {
        let sources = lint::files::waiting(&options, facts)?;
        lint::lint(&sources, &terms, Some((operation.database.as_str(), facts)))
    })?;
    Ok(self::linted(&linted))
}

/// What the linter says.
pub fn linted(linted: &Linted) -> Json {
    let mut document = json!({ "schema_version": SCHEMA_VERSION });
    if let (Some(document), Json::Object(linted)) = (document.as_object_mut(), json!(linted)) {
        document.extend(linted);
    }
    document
}
