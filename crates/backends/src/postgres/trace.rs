//! Whether a statement that runs outside of transactions has been done, read from the traces it leaves in the catalogue.
//!
//! Knows the forms of statements that PostgreSQL refuses in a transaction and that fail, or do harm, when they are done a
//! second time. It looks at words only, so a statement in another form is one that only a person can judge.

use targets::db::{Sql, Trace};

/// How to find out about this statement.
pub(super) fn of(statement: &str) -> Trace {
    let words = words(statement);
    let lower: Vec<String> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    match lower.as_slice() {
        ["create", "index", "concurrently", ..] => created_index(&words[3..]),
        ["create", "unique", "index", "concurrently", ..] => created_index(&words[4..]),
        ["drop", "index", "concurrently", ..] => match without(&words[3..], &["if", "exists"]) {
            [name, ..] => gone("to_regclass", name),
            [] => Trace::Unknown,
        },
        ["alter", "type", _, "add", "value", ..] => {
            added_value(&words[2], without(&words[5..], &["if", "not", "exists"]))
        }
        ["alter", "table", .., "detach", "partition", _, "concurrently"] => detached(&words),
        ["create", "database", ..] => known(&words[2..], "select 1 from pg_database where datname = ", true),
        ["drop", "database", ..] => known(
            without(&words[2..], &["if", "exists"]),
            "select 1 from pg_database where datname = ",
            false,
        ),
        ["create", "tablespace", ..] => {
            known(&words[2..], "select 1 from pg_tablespace where spcname = ", true)
        }
        ["drop", "tablespace", ..] => known(
            without(&words[2..], &["if", "exists"]),
            "select 1 from pg_tablespace where spcname = ",
            false,
        ),
        [
            "vacuum" | "analyze" | "reindex" | "cluster" | "checkpoint" | "refresh" | "discard" | "set"
            | "reset",
            ..,
        ]
        | ["alter", "system", ..] => Trace::Again,
        _ => Trace::Unknown,
    }
}

/// An index that is there and valid is in; one that is there and not valid was left by a build that failed, unless it
/// is still being built: a server process goes on for a while after its client died.
fn created_index(rest: &[String]) -> Trace {
    let [name, on, table, ..] = without(rest, &["if", "not", "exists"]) else { return Trace::Unknown };
    let (table, on) = match (on.to_ascii_lowercase().as_str(), table.to_ascii_lowercase().as_str()) {
        ("on", "only") => (rest.iter().skip_while(|word| !word.eq_ignore_ascii_case("only")).nth(1), true),
        ("on", _) => (Some(table), true),
        _ => (None, false),
    };
    let Some(table) = table.filter(|_| on) else { return Trace::Unknown };
    Trace::Ask(
        Sql::new(
            "select case
               when c.oid is null then 'out'
               when i.indisvalid then 'in'
               when exists (select from pg_stat_progress_create_index as p where p.index_relid = c.oid) then 'busy'
               else 'half'
             end,
             'drop index concurrently if exists ' || c.oid::regclass
             from (select to_regclass(",
        )
        .bind(table.as_str())
        .text(
            ") as oid) as asked
             left join pg_class as t on t.oid = asked.oid
             left join pg_class as c on c.relnamespace = t.relnamespace and c.relkind in ('i', 'I') and c.relname = ",
        )
        .bind(folded(name))
        .text(" left join pg_index as i on i.indexrelid = c.oid"),
    )
}

fn gone(how: &str, name: &str) -> Trace {
    Trace::Ask(
        Sql::new(&format!("select case when {how}("))
            .bind(name)
            .text(") is null then 'in' else 'out' end, null::text"),
    )
}

fn added_value(name: &str, rest: &[String]) -> Trace {
    let Some(value) = rest.first().and_then(|word| word.strip_prefix('\'')?.strip_suffix('\'')) else {
        return Trace::Unknown;
    };
    Trace::Ask(
        Sql::new("select case when exists (select from pg_enum where enumtypid = to_regtype(")
            .bind(name)
            .text(") and enumlabel = ")
            .bind(value.replace("''", "'"))
            .text(") then 'in' else 'out' end, null::text"),
    )
}

/// A partition half detached is finished by another statement.
fn detached(words: &[String]) -> Trace {
    let count = words.len();
    let table = match without(&words[2..], &["if", "exists"]) {
        [only, table, ..] if only.eq_ignore_ascii_case("only") => table,
        [table, ..] => table,
        [] => return Trace::Unknown,
    };
    let partition = &words[count - 2];
    Trace::Ask(
        Sql::new("select case when not exists (select from pg_inherits where inhrelid = to_regclass(")
            .bind(partition.as_str())
            .text(") and inhparent = to_regclass(")
            .bind(table.as_str())
            .text(
                ")) then 'in' when (select to_jsonb(h) ->> 'inhdetachpending' from pg_inherits as h where inhrelid = to_regclass(",
            )
            .bind(partition.as_str())
            .text(")) = 'true' then 'half' else 'out' end, ")
            .bind(format!("alter table {table} detach partition {partition} finalize")),
    )
}

fn known(rest: &[String], catalogue: &str, wanted: bool) -> Trace {
    let Some(name) = rest.first() else { return Trace::Unknown };
    let (there, missing) = if wanted { ("in", "out") } else { ("out", "in") };
    Trace::Ask(
        Sql::new(&format!("select case when exists ({catalogue}"))
            .bind(folded(name))
            .text(&format!(") then '{there}' else '{missing}' end, null::text")),
    )
}

/// The words after these, when they are there.
fn without<'a>(words: &'a [String], these: &[&str]) -> &'a [String] {
    let there = words.len() >= these.len()
        && words.iter().zip(these).all(|(word, this)| word.eq_ignore_ascii_case(this));
    if there { &words[these.len()..] } else { words }
}

/// The name as the catalogue has it.
fn folded(name: &str) -> String {
    match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => name.to_lowercase(),
    }
}

/// Words, names in quotes (with what a dot joins to them) and texts; comments and brackets are left out.
fn words(statement: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut chars = statement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '-' if chars.peek() == Some(&'-') => {
                chars.by_ref().find(|c| *c == '\n');
                all.push(std::mem::take(&mut word));
            }
            '"' | '\'' => {
                word.push(c);
                while let Some(inner) = chars.next() {
                    word.push(inner);
                    if inner == c {
                        match chars.peek() == Some(&c) {
                            true => word.extend(chars.next()),
                            false => break,
                        }
                    }
                }
            }
            c if c.is_whitespace() || matches!(c, '(' | ')' | ',' | ';') => {
                all.push(std::mem::take(&mut word))
            }
            c => word.push(c),
        }
    }
    all.push(word);
    all.retain(|word| !word.is_empty());
    all
}

/// The locks of this transaction that keep writers out, or everybody.
pub(super) fn strong_locks() -> Sql {
    Sql::new(
        "select l.relation::regclass::text, l.mode
             from pg_locks as l join pg_class as c on c.oid = l.relation
             where l.pid = pg_backend_pid() and l.granted and c.relkind in ('r', 'p', 'm')
               and c.relnamespace not in ('pg_catalog'::regnamespace, 'pg_toast'::regnamespace)
               and c.relnamespace is distinct from to_regnamespace('sexton')
               and l.mode in ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
             order by 1, 2",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_a_trace_is_looked_for_and_what_does_not_is_left_to_a_person() {
        let asks = |sql: &str| matches!(of(sql), Trace::Ask(_));
        assert!(asks("create index concurrently i on t (a)"));
        assert!(asks("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"My I\" ON only s.t (a)"));
        assert!(asks("drop index concurrently if exists s.i"));
        assert!(asks("alter type mood add value if not exists 'it''s'"));
        assert!(asks("alter table only t detach partition t_1 concurrently"));
        assert_eq!(of("vacuum (analyze) t"), Trace::Again);
        assert_eq!(of("create index concurrently on t (a)"), Trace::Unknown);
        assert_eq!(of("call something()"), Trace::Unknown);
    }

    #[test]
    fn words_keep_quoted_names_whole() {
        assert_eq!(words("a \"b c\".\"d\"\"e\" (f)--g\nh"), ["a", "\"b c\".\"d\"\"e\"", "f", "h"]);
    }
}
