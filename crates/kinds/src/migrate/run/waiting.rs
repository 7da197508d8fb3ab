//! What is not in yet, for those who only want to look at it.

use super::look::Scene;
use super::options::Options;
use crate::migrate::model::Migration;
use engine::Result;
use std::path::PathBuf;
use targets::db::Facts;

/// The folder, and the migrations of it that are not in this database, in their order.
pub fn pending(options: &serde_json::Value, facts: &mut dyn Facts) -> Result<(PathBuf, Vec<Migration>)> {
    let scene = Scene::of(&Options::read(options)?, facts)?;
    let out = |migration: &&Migration| !scene.state(&migration.id).is_in();
    let migrations = scene.directory.migrations.iter().filter(out).cloned().collect();
    Ok((scene.directory.path, migrations))
}
