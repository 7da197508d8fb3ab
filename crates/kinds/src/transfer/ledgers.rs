//! Tables in which migration tools write down what they have done to a database. They tell of its tables and not of the application:
//! where the target was made by its own migrations, it keeps its own.

use super::source::SourceTable;
use engine::words::{count, rows};
use engine::{Finding, Result};
use std::collections::BTreeSet;
use targets::db::{Facts, Sql, Table, quote};

/// By their names: the columns that tell one migration from another, where both databases have the same ones.
const KNOWN: [(&str, &[&str]); 22] = [
    ("django_migrations", &["app", "name"]),
    ("alembic_version", &["version_num"]),
    ("schema_migrations", &["version"]),
    ("ar_internal_metadata", &[]),
    ("_prisma_migrations", &[]),
    ("__drizzle_migrations", &[]),
    ("knex_migrations", &["name"]),
    ("knex_migrations_lock", &[]),
    ("SequelizeMeta", &["name"]),
    ("kysely_migration", &["name"]),
    ("kysely_migration_lock", &[]),
    ("mikro_orm_migrations", &[]),
    ("typeorm_migrations", &[]),
    ("__EFMigrationsHistory", &["MigrationId"]),
    ("__EFMigrationsLock", &[]),
    ("flyway_schema_history", &["version"]),
    ("databasechangelog", &["id"]),
    ("databasechangeloglock", &[]),
    ("__diesel_schema_migrations", &["version"]),
    ("seaql_migrations", &["version"]),
    ("_sqlx_migrations", &[]),
    ("goose_db_version", &["version_id"]),
];
/// So many of them are named.
const NAMED: usize = 5;

fn find(table: &SourceTable) -> Option<&'static [&'static str]> {
    let known = KNOWN.iter().find(|(known, _)| known.eq_ignore_ascii_case(table.name()));
    known.map(|(_, columns)| *columns).or_else(|| {
        // birds have migrations, too
        let has = |names: [&str; 3]| {
            let columns = &table.table.columns;
            columns.len() == 3 && names.iter().all(|name| columns.iter().any(|column| column.name == *name))
        };
        let is_one = table.name() == "migrations"
            && (has(["id", "migration", "batch"]) || has(["id", "timestamp", "name"]));
        is_one.then_some(&[])
    })
}

/// Whether it is one.
pub fn is_one(table: &SourceTable) -> bool {
    find(table).is_some()
}

/// What is told of one that stays as the target has it; none where it is carried as any other table is.
pub fn stays(
    table: &SourceTable,
    there: Option<&Table>,
    source: &mut dyn Facts,
    target: &mut dyn Facts,
) -> Result<Option<Finding>> {
    let Some(columns) = find(table) else { return Ok(None) };
    let name = table.name();
    let note = |what: String| {
        let help = "nothing; where it is to be carried, name it in `map`, with `rename`";
        Finding::note("ledger", name, format!("it tells which migrations made the tables: {what}"), help)
    };
    let Some(there) = there else { return Ok(Some(note("the target keeps no such list".to_owned()))) };
    let all = target.count(&Sql::new("select count(*) from ").table(&there.name))?;
    if all == 0 {
        return Ok(None);
    }
    let kept = note(format!("the target keeps its own, {}", rows(all)));
    let has_all = columns.iter().all(|column| there.columns.iter().any(|one| one.name == **column));
    if columns.is_empty() || !has_all {
        return Ok(Some(kept));
    }
    let names: Vec<String> =
        columns.iter().map(|column| format!("cast({} as text)", quote(column))).collect();
    let names = names.join(" || ' ' || ");
    let read = |from: Sql, facts: &mut dyn Facts| -> Result<BTreeSet<String>> {
        let all = facts.rows(&Sql::new(&format!("select {names} from ")).add(&from))?;
        Ok(all.iter().filter_map(|row| row[0].as_text().map(str::to_owned)).collect())
    };
    let ours = read(Sql::default().name(name), source)?;
    let theirs = read(Sql::default().table(&there.name), target)?;
    let list = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        let rest: Vec<&str> = one.difference(other).map(String::as_str).collect();
        let more = rest.len().saturating_sub(NAMED);
        let named = rest[..rest.len() - more].join(", ");
        let more = if more > 0 { format!(" and {} more", count(more as u64)) } else { String::new() };
        (!rest.is_empty()).then(|| format!("{named}{more}"))
    };
    let what = match (list(&ours, &theirs), list(&theirs, &ours)) {
        (None, None) => return Ok(Some(kept)),
        (Some(missing), _) => format!("the source has had some that the target has not: {missing}"),
        (None, Some(newer)) => format!("the target has had some that the source has not: {newer}"),
    };
    Ok(Some(Finding::warning(
        "ledger",
        name,
        what,
        "run the migrations of one version of the application on both sides first; the target keeps its own list",
    )))
}
