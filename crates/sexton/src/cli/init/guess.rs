//! What tables probably are, from names and types alone: pure, so that it can be wrong only in one way.

use targets::db::{Column, Family, Schema, Table, TableKind};

/// What a table probably is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// Grows for ever, old rows lose their worth.
    Log,
    /// A log that others may have to look into for longer.
    Audit,
    /// Rows with an end of their own: sessions, tokens, caches.
    Expiring,
    /// Tasks with a status.
    Queue,
    /// Rows that are only marked as deleted.
    SoftDeleted,
}

/// A proposal for one table.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// The table as the configuration names it.
    pub table: String,
    /// What it probably is.
    pub sort: Sort,
    /// The column that says how old a row is.
    pub age_column: String,
    /// The column with the status, of queues.
    pub status_column: Option<String>,
    /// What the statistics say.
    pub rows: Option<u64>,
    /// With indexes.
    pub bytes: Option<u64>,
}

/// A column that looks like a reference that is not declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Undeclared {
    /// The table that refers.
    pub table: String,
    /// The column.
    pub column: String,
    /// The table it seems to refer to.
    pub parent: String,
    /// The parent's key.
    pub parent_column: String,
}

const LOGS: [&str; 9] =
    ["log", "event", "history", "trace", "metric", "activity", "request", "notification", "webhook"];
const AUDITS: [&str; 2] = ["audit", "journal"];
const QUEUES: [&str; 6] = ["queue", "job", "task", "outbox", "delivery", "message"];
const EXPIRY: [&str; 8] = [
    "expires_at",
    "expire_at",
    "expire_date",
    "expires",
    "expiry",
    "expiration",
    "valid_until",
    "expires_on",
];
const CREATED: [&str; 20] = [
    "created_at",
    "inserted_at",
    "logged_at",
    "occurred_at",
    "recorded_at",
    "started_at",
    "created",
    "timestamp",
    "created_on",
    "date_created",
    "time",
    "ts",
    "at",
    "created_time",
    "event_time",
    "log_time",
    "logged",
    "created_date",
    "sent_at",
    "updated_at",
];
const FINISHED: [&str; 6] =
    ["finished_at", "completed_at", "ended_at", "done_at", "processed_at", "updated_at"];

/// Proposals in the order of the tables' names, at most one a table.
pub fn guesses(schema: &Schema) -> Vec<Guess> {
    schema.tables.iter().filter(|table| has_own_rows(table)).filter_map(guess).collect()
}

fn has_own_rows(table: &Table) -> bool {
    matches!(table.kind, TableKind::Ordinary | TableKind::Partitioned | TableKind::WithoutRowid)
        && table.parents.is_empty()
}

fn guess(table: &Table) -> Option<Guess> {
    // A schema says what its tables are for: `audit.entries`.
    let schema = table.name.schema.as_deref().unwrap_or_default();
    let name = format!("{schema} {}", table.name.name).to_lowercase();
    let named = |words: &[&str]| words.iter().any(|word| name.contains(word));
    let found = |sort, age_column: &Column, status: Option<&Column>| Guess {
        table: table.name.to_string(),
        sort,
        age_column: age_column.name.clone(),
        status_column: status.map(|column| column.name.clone()),
        rows: table.rows_estimate,
        bytes: table.bytes,
    };
    if let Some(column) = time_column(table, &EXPIRY) {
        return Some(found(Sort::Expiring, column, None));
    }
    if let Some(column) = time_column(table, &["deleted_at", "deleted_on", "removed_at", "trashed_at"]) {
        return Some(found(Sort::SoftDeleted, column, None));
    }
    let status =
        table.columns.iter().find(|column| ["status", "state"].contains(&plain(&column.name).as_str()));
    // "task log" is a log.
    let log = named(&LOGS) || named(&AUDITS);
    if let (Some(status), true, false) = (status, named(&QUEUES), log) {
        let column = time_column(table, &FINISHED).or_else(|| time_column(table, &CREATED))?;
        return Some(found(Sort::Queue, column, Some(status)));
    }
    if log {
        let sort = if named(&AUDITS) { Sort::Audit } else { Sort::Log };
        return Some(found(sort, time_column(table, &CREATED).or_else(|| only_moment(table))?, None));
    }
    None
}

/// The first of these columns whose type can hold a time.
fn time_column<'a>(table: &'a Table, names: &[&str]) -> Option<&'a Column> {
    names.iter().find_map(|name| {
        table.columns.iter().find(|column| plain(&column.name) == plain(name) && holds_time(column.family))
    })
}

/// A name without what schemas write differently: `Created At`, `createdAt` and `created_at` are one.
fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| !c.is_whitespace() && !['_', '-'].contains(c))
        .flat_map(char::to_lowercase)
        .collect()
}

/// What stands before the `id` of a reference: `user_id`, `user id`, `userId`, `UserID`; but not that of `paid`.
fn referred(name: &str) -> Option<String> {
    let stem = name.get(..name.len().checked_sub(2)?)?;
    let (end, before) = (&name[stem.len()..], stem.chars().next_back()?);
    let apart = end.eq_ignore_ascii_case("id") && ['_', ' ', '-'].contains(&before);
    let humped = (end == "Id" || end == "ID") && before.is_lowercase();
    (apart || humped).then(|| plain(stem)).filter(|stem| !stem.is_empty())
}

/// The one column that can only be a moment.
fn only_moment(table: &Table) -> Option<&Column> {
    let mut moments = table
        .columns
        .iter()
        .filter(|column| matches!(column.family, Family::Timestamp | Family::TimestampTz));
    moments.next().filter(|_| moments.next().is_none())
}

/// SQLite keeps times as text or numbers.
fn holds_time(family: Family) -> bool {
    use Family::*;
    matches!(family, Date | Timestamp | TimestampTz | Text | Integer | Real | Numeric | Any)
}

/// Columns `x_id` or `xId` that no foreign key declares, where a table `x` or its plural has a key of one column.
pub fn undeclared(schema: &Schema) -> Vec<Undeclared> {
    let mut all = Vec::new();
    for table in schema.tables.iter().filter(|table| has_own_rows(table)) {
        for column in &table.columns {
            let declared = table.references.iter().any(|key| key.columns.contains(&column.name));
            let Some(stem) = referred(&column.name).filter(|_| !declared) else { continue };
            let plural = [stem.clone(), format!("{stem}s"), format!("{stem}es"), plural_y(&stem)];
            let parent = schema.tables.iter().find(|parent| {
                parent.name != table.name
                    && parent.name.schema == table.name.schema
                    && has_own_rows(parent)
                    && plural.contains(&plain(&parent.name.name))
            });
            let Some((parent, [key])) =
                parent.and_then(|parent| Some((parent, parent.key.as_ref()?.columns.as_slice())))
            else {
                continue;
            };
            all.push(Undeclared {
                table: table.name.to_string(),
                column: column.name.clone(),
                parent: parent.name.to_string(),
                parent_column: key.clone(),
            });
        }
    }
    all
}

fn plural_y(stem: &str) -> String {
    stem.strip_suffix('y').map_or_else(|| format!("{stem}s"), |stem| format!("{stem}ies"))
}
