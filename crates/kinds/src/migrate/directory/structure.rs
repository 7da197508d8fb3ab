//! `structure.sql` as Rails dumps it: a whole schema as one migration, with the versions that it stands for at its end.

use super::Found;
use super::files::File;
use crate::migrate::model::{Migration, Script};
use crate::migrate::script::{self, Language, Transactions};

/// The name of the file.
pub(super) const FILE: &str = "structure.sql";

/// The id of its one migration.
pub(crate) const ID: &str = "structure";

/// The one file.
pub(super) fn gather(files: &[File], language: Language, found: &mut Found) {
    let Some(file) = files.iter().find(|file| file.on_top() && file.name == FILE) else { return };
    let Some(text) = found.open(file) else { return };
    let mut up = script::read(&file.path, text, language, Transactions::AsWritten);
    // SQLite dumps a table of its own, which nobody else may make
    up.statements.retain(|statement| !statement.sql.starts_with("CREATE TABLE sqlite_sequence"));
    let version = versions(&up).into_iter().max().unwrap_or_default();
    found.migrations.push(Migration {
        id: ID.to_owned(),
        number: version.parse().ok(),
        version,
        description: "the schema as it was dumped".to_owned(),
        up,
        ..Migration::default()
    });
}

/// The versions that a dump says are in, from the rows that it writes into `schema_migrations`.
pub(crate) fn versions(script: &Script) -> Vec<String> {
    let mut all = Vec::new();
    for statement in &script.statements {
        let Some((head, rows)) = statement.sql.split_once(['\'']) else { continue };
        let head = head.to_ascii_lowercase();
        if head.starts_with("insert into") && head.contains("schema_migrations") {
            let values = rows.split('\'').step_by(2).filter(|value| !value.is_empty());
            all.extend(
                values.filter(|value| value.bytes().all(|byte| byte.is_ascii_digit())).map(str::to_owned),
            );
        }
    }
    all
}
