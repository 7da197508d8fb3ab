//! What stands in the way of a transfer, and what a person must know before it: findings, each with what to do.

use super::carried;
use super::carry::{Met, shown};
use super::convert::{Misfit, Rule};
use super::design::{Design, Left};
use super::options::{Options, Policy};
use super::source::{Other, Source};
use super::task::{Carried, Carry};
use engine::words::{either, of, rows};
use engine::{Finding, Result};
use serde::Serialize;
use std::time::Duration;
use targets::db::{Bounds, Facts, Inspection, Section, Seen, Sql, TableName, Value};

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

/// Keys of a file in UTF-16 that are no text there: SQLite finds no row again by what it says of them, so that nobody could go on
/// behind such a row, or follow what becomes of it.
pub fn of_keys(source: &Source, options: &Options, reader: &mut dyn Facts) -> Result<Vec<Finding>> {
    let encoding = reader.value(&Sql::new("select encoding from pragma_encoding"))?;
    let is_big = match encoding.as_text() {
        Some("UTF-16le") => false,
        Some("UTF-16be") => true,
        _ => return Ok(Vec::new()),
    };
    let is_sound = |value: &Seen, stored: &Seen| match (value, stored) {
        (Seen::Text(text), Seen::Blob(stored)) => {
            let bytes = |unit: u16| if is_big { unit.to_be_bytes() } else { unit.to_le_bytes() };
            text.encode_utf16().flat_map(bytes).eq(stored.iter().copied())
        }
        (value, _) => !matches!(value, Seen::BrokenText(_)),
    };
    let mut found = Vec::new();
    for table in &source.tables {
        let is_asked = table.by_rowid().is_none() || options.runs_online();
        if table.primary.is_empty() || !is_asked || options.table(table.name()).is_some_and(|own| own.drop) {
            continue;
        }
        let parts = table.primary.iter().map(|name| {
            let name = Sql::default().name(name);
            Sql::default().add(&name).text(", cast(").add(&name).text(" as blob)")
        });
        let sql = Sql::new("select ")
            .add(&Sql::join(&parts.collect::<Vec<_>>(), ", "))
            .text(" from ")
            .name(table.name());
        let (mut count, mut first) = (0, None);
        reader.scan(&sql, &mut |row| {
            for pair in row.chunks_exact(2).filter(|pair| !is_sound(&pair[0], &pair[1])) {
                count += 1;
                first.get_or_insert_with(|| shown(&pair[1]));
            }
            Ok(())
        })?;
        if let Some(first) = first {
            found.push(Finding::forbid(
                "broken_key",
                table.name(),
                format!("{} of its key are no text in UTF-16, such as {first}", of(count, "value", "values")),
                "clean them first: by such a key no row is found again, whatever the policy",
            ));
        }
    }
    Ok(found)
}

/// Collations that only the application has: who writes into such a file must know them, and online its changes are followed there.
pub fn of_collations(source: &Source, options: &Options) -> Vec<Finding> {
    let tables = source.tables.iter().filter(|table| options.table(table.name()).is_none_or(|own| !own.drop));
    let found = tables.filter_map(|table| {
        let name = table.table.columns.iter().find_map(|column| table.own_collation(&column.name))?;
        Some(Finding::forbid(
            "collation",
            table.name(),
            format!("it has the collation `{name}`, which only its application has: what changes in it cannot be followed"),
            "stop the application, and transfer without `online`",
        ))
    });
    found.collect()
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

/// What is in the source beside its tables, where the target has tables of its own.
pub fn of_others(source: &Source, options: &Options) -> (Vec<Left>, Vec<Finding>) {
    let others = source.others.iter().filter(|other| !options.leaves(&other.name));
    let (virtuals, code): (Vec<&Other>, Vec<&Other>) =
        others.partition(|other| other.what == "virtual table");
    let names: Vec<String> = code.iter().map(|other| format!("{} `{}`", other.what, other.name)).collect();
    let note = (!names.is_empty()).then(|| {
        Finding::note(
            "made_by_the_application",
            &options.source,
            format!("the source has more than tables: {}", names.join(", ")),
            "look whether the target has what it needs of them",
        )
    });
    (virtuals.into_iter().map(Left::of_module).collect(), note.into_iter().collect())
}

/// Tables that nobody looks at, because they have the names of Sexton's own.
pub fn of_own(source: &Source, options: &Options) -> Option<Finding> {
    let names: Vec<String> = source.own.iter().map(|name| format!("`{name}`")).collect();
    (!names.is_empty()).then(|| {
        Finding::note(
            "own_tables",
            &options.source,
            format!(
                "tables whose names begin with `sexton_` are Sexton's own and stay behind: {}",
                names.join(", ")
            ),
            "nothing; a table of the application with such a name is carried under another one: rename it",
        )
    })
}

/// Why something is not asked that is about columns of which the source has nothing.
pub const FILLED: &str = "it is about columns that the target fills";

/// What the target demands of a table, and nobody can ask before the copy.
pub fn not_asked(table: &TableName, what: &str, why: &str) -> Finding {
    Finding::note(
        "not_asked",
        table.to_string(),
        format!("{what} is not asked before the copy: {why}"),
        "nothing, where the rows keep it: else the run ends at the first one that does not, names it, and can be resumed",
    )
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
        let what = match (stops, policy) {
            (true, Policy::Stop) | (false, _) => what,
            (true, policy) => format!("{what}; the policy `{}` cannot be followed here", policy.word()),
        };
        found.push(match stops {
            true => Finding::forbid(&code, place, what, ways(column, *misfit)),
            false => Finding::warning(
                &code,
                place,
                format!("{what}; {}", outcome(policy)),
                "nothing, where this is wanted",
            ),
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

/// What can be said of values that do not fit: only what can be followed there.
fn ways(column: &Carried, misfit: Misfit) -> String {
    use Misfit::{
        BrokenText, Check, Duplicate, Null, Reference, TooFine, TooLong, Unreadable, ZeroCharacter,
    };
    let is_text = matches!(column.rule, Rule::Text(_) | Rule::Padded(_));
    let mut others = Vec::new();
    if misfit != Null && !column.not_null {
        others.push("`null`");
    }
    if misfit == TooFine || is_text && matches!(misfit, TooLong | ZeroCharacter | BrokenText) {
        others.push("`truncate`");
    }
    if !matches!(misfit, Reference | Duplicate | Check) {
        let with = "`default` where `map` says one";
        others.push(if column.default.is_some() { "`default`" } else { with });
    }
    let others = if others.is_empty() { String::new() } else { format!(", or {}", others.join(", ")) };
    let bytes = match is_text && matches!(misfit, Unreadable | BrokenText) {
        true => "; or keep every byte: `cast = \"bytea\"`",
        false => "",
    };
    format!(
        "say what happens to them: `dirty = {{ {} = \"quarantine\" }}`{others}, for one column alone in `map.TABLE.columns.COLUMN`{bytes}; or clean them first",
        misfit.name()
    )
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
            .replacen("does not", "do not", 1)
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
