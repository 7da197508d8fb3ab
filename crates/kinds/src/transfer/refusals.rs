//! What stands in the way of a transfer, and what a person must know before it: findings, each with what to do.

use super::carried;
use super::carry::Met;
use super::convert::Misfit;
use super::design::{Design, Left};
use super::options::{Options, Policy};
use super::task::Carry;
use engine::words::{either, rows};
use engine::{Finding, Result};
use serde::Serialize;
use std::time::Duration;
use targets::db::{Bounds, Facts, Inspection, Section, Sql, Value};

/// What the target says against it.
pub fn of_target(target: &mut dyn Facts, options: &Options, design: &Design) -> Result<Vec<Finding>> {
    let mut found = of_encoding(target, options)?;
    let into = options.into();
    let there = target.schema()?;
    let taken: Vec<String> = there
        .tables
        .iter()
        .filter(|table| table.name.schema.as_deref() == Some(into))
        .map(|table| table.name.name.clone())
        .collect();
    if !taken.is_empty() {
        let few = taken.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        found.push(Finding::forbid(
            "target_not_empty",
            into,
            format!("the schema has {} already: {few}", either(taken.len() as u64, "a table", "tables")),
            match of_unfinished(target, &|table| {
                there
                    .tables
                    .iter()
                    .any(|one| one.name.quoted() == table && one.name.schema.as_deref() == Some(into))
            })? {
                Some(help) => help,
                None => "go into a fresh schema with `into_schema = \"…\"`, or empty this one".to_owned(),
            },
        ));
    }
    let exists =
        target.count(&Sql::new("select count(*) from pg_namespace where nspname = ").bind(into))? > 0;
    let may = match exists {
        true => target.value(&Sql::new("select has_schema_privilege(").bind(into).text(", 'create')"))?,
        false => target.value(&Sql::new("select has_database_privilege(current_database(), 'create')"))?,
    };
    if may == Value::Bool(false) {
        let object = if exists { "schema" } else { "database" };
        let user = target.server()?.user;
        found.push(Finding::forbid(
            "permission",
            into,
            format!("this user may not make anything in the {object}"),
            format!("let someone who may run `grant create on {object} … to {}`", targets::db::quote(&user)),
        ));
    }
    if design.tables.is_empty() {
        found.push(Finding::note("nothing", &options.source, "it has no tables to carry", "nothing"));
    }
    Ok(found)
}

/// References are taken away for the copy that only the owner of their table may touch.
pub fn of_owner(target: &mut dyn Facts, design: &Design, release: &[String]) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    for table in &design.tables {
        let alter = format!("alter table {} ", table.name.quoted());
        if !release.iter().any(|sql| sql.starts_with(&alter)) {
            continue;
        }
        let owner = Sql::new(
            "select pg_has_role(c.relowner, 'usage'), pg_get_userbyid(c.relowner)::text from pg_class c where c.oid = ",
        )
        .bind(table.name.quoted())
        .text("::text::regclass");
        let rows = target.rows(&owner)?;
        let Some([Value::Bool(false), owner]) = rows.first().map(Vec::as_slice) else { continue };
        found.push(Finding::forbid(
            "permission",
            table.name.to_string(),
            "references of it must be away while rows come, and only the owner of a table may take them away",
            format!("connect as `{}`", owner.as_text().unwrap_or_default()),
        ));
    }
    Ok(found)
}

/// What to do with tables that a transfer has left that ended early; none where there are no such tables among these.
pub fn of_unfinished(target: &mut dyn Facts, among: &dyn Fn(&str) -> bool) -> Result<Option<String>> {
    let all = carried::unfinished(None, target)?;
    let left = all.iter().find(|one| one.tables.iter().any(|table| among(table)));
    Ok(left.map(|one| {
        format!(
            "run {} has left it: go on with `sexton resume {0}`, or take it back with `sexton transfer rollback`",
            one.run
        )
    }))
}

/// How the source is used.
#[derive(Debug, Clone, Serialize)]
pub struct Use {
    /// `wal`, `delete`, …
    pub journal_mode: String,
    /// Bytes of the write-ahead log.
    pub wal_bytes: u64,
    /// The other processes that have it open.
    pub open_in: Vec<String>,
}

/// How the source is used; none where that cannot be told.
pub fn use_of(source: &mut dyn Facts) -> Option<Use> {
    const QUICKLY: Bounds =
        Bounds { total: Duration::from_secs(1), part: Duration::from_millis(300), most: 10 };
    let Ok(Inspection { file: Section::Known(file), .. }) = source.inspect(&QUICKLY) else {
        return None;
    };
    let own = i64::from(std::process::id());
    let others = file.users.iter().filter(|(process, _)| *process != own);
    let open_in = others.map(|(process, program)| format!("{program} ({process})")).collect();
    Some(Use { journal_mode: file.journal_mode, wal_bytes: file.wal_bytes, open_in })
}

/// What that means for those who use it.
pub fn of_source(file: &Use, name: &str) -> Vec<Finding> {
    let others = &file.open_in;
    if file.journal_mode == "wal" {
        return match others.as_slice() {
            [] => Vec::new(),
            users => vec![Finding::note(
                "source_in_use",
                name,
                format!(
                    "{} has it open: what is written after the copy has begun is not carried",
                    users.join(", ")
                ),
                "stop the application before the last transfer, or let it go on writing: `online = true`",
            )],
        };
    }
    let users =
        if others.is_empty() { String::new() } else { format!("; {} has it open", others.join(", ")) };
    vec![Finding::note(
        "source_locked",
        name,
        format!("its journal mode is `{}`: while it is copied nobody can write it{users}", file.journal_mode),
        "stop the application for that time, or let it write beside readers: `pragma journal_mode = wal`",
    )]
}

/// An encoding that does not hold every text.
pub fn of_encoding(target: &mut dyn Facts, options: &Options) -> Result<Vec<Finding>> {
    let mut found = Vec::new();
    let into = options.into();
    let encoding = target.value(&Sql::new(
        "select pg_encoding_to_char(encoding) from pg_database where datname = current_database()",
    ))?;
    if encoding.as_text().is_some_and(|name| name != "UTF8") {
        let name = encoding.as_text().unwrap_or_default().to_owned();
        found.push(Finding::forbid(
            "encoding",
            into,
            format!("the target database is encoded in {name}, which does not hold every text"),
            "make one with `create database … encoding 'UTF8' template template0`",
        ));
    }
    Ok(found)
}

/// What does not arrive.
pub fn of_left(left: &Left) -> Finding {
    Finding::warning(
        "not_carried",
        &left.name,
        format!("{} `{}` is not carried: {}", article(&left.what), left.name, left.why),
        format!(
            "make it by hand in the target, and say so: `leave = [\"{}\"]`",
            left.name.replace('"', "\\\"")
        ),
    )
}

fn article(what: &str) -> String {
    let an = what.starts_with(['a', 'e', 'i', 'o']);
    format!("{} {what}", if an { "an" } else { "a" })
}

/// What does not fit.
pub fn of_values(carry: &Carry, met: &Met, aside: u64) -> Vec<Finding> {
    let mut found = Vec::new();
    for ((n, misfit), tale) in &met.0 {
        let column = &carry.columns[*n];
        let policy = column.policies.get(misfit).copied().unwrap_or_default();
        let place = format!("{}.{}", carry.table, column.source);
        let samples: Vec<String> =
            tale.samples.iter().map(|(row, value)| format!("{value} ({row})")).collect();
        let what = format!("{} as `{}`: {}", said(*misfit, tale.count), column.spelled, samples.join(", "));
        let code = format!("dirty_{}", misfit.name());
        // a policy that cannot be followed stops
        let stops = tale.stopped > 0;
        found.push(match stops {
            true => Finding::forbid(
                &code,
                place,
                what,
                format!(
                    "say what happens to them: `dirty = {{ {} = \"quarantine\" }}`, or `null`, `truncate`, `default`; or clean them first",
                    misfit.name()
                ),
            ),
            false => Finding::warning(&code, place, format!("{what}; {}", outcome(policy)), "nothing, where this is wanted"),
        });
    }
    if aside > 0 {
        found.push(Finding::warning(
            "quarantine",
            &carry.table,
            format!("{} will be kept aside", rows(aside)),
            "look at them afterwards in the table `sexton.unloaded` of the target",
        ));
    }
    found
}

fn said(misfit: Misfit, count: u64) -> String {
    let many = either(count, "value", "values");
    let verb = match (misfit, count) {
        (Misfit::Unreadable, 1) => "cannot be read".to_owned(),
        (Misfit::Unreadable, _) => "cannot be read".to_owned(),
        (Misfit::Reference, 2..) => "refer to rows that are not there".to_owned(),
        (misfit, 1) => misfit.to_string(),
        (misfit, _) => misfit
            .to_string()
            .replacen("is ", "are ", 1)
            .replacen("holds", "hold", 1)
            .replacen("refers", "refer", 1),
    };
    format!("{count} {many} {verb}")
}

fn outcome(policy: Policy) -> &'static str {
    match policy {
        Policy::Stop => "nothing is copied",
        Policy::Quarantine => "their rows are kept aside",
        Policy::Null => "they become NULL",
        Policy::Truncate => "they are cut",
        Policy::Default => "they become the default",
    }
}
