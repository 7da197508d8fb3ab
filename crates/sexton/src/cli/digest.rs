//! `sexton digest`: a checksum of every table, to see that two states of a database are the same.

use super::act::Act;
use super::numbers::count;
use super::table::Table;
use crate::exit::Exit;
use crate::trouble::Trouble;
use engine::SCHEMA_VERSION;
use serde_json::json;

/// Prints rows and digest of every table of the named database, or of all.
pub fn digest(act: &Act, named: Option<&str>) -> Result<Exit, Trouble> {
    let names = match named {
        Some(name) => vec![name.to_owned()],
        None => act.engine.database_names(),
    };
    let mut all = Vec::new();
    for name in &names {
        all.extend(act.engine.digest(name)?.into_iter().map(|digest| (name, digest)));
    }
    if !act.console.is_text() {
        let tables: Vec<serde_json::Value> = all
            .iter()
            .map(|(name, digest)| json!({ "database": name, "table": digest.table, "rows": digest.rows, "digest": digest.digest }))
            .collect();
        act.console.document(&json!({ "schema_version": SCHEMA_VERSION, "tables": tables }));
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["table", "rows", "digest"], &[1]);
    for (name, digest) in all {
        let shown = if names.len() > 1 { format!("{name}.{}", digest.table) } else { digest.table };
        table.row([shown, count(digest.rows), digest.digest]);
    }
    act.console.data(&table.text());
    Ok(Exit::Done)
}
