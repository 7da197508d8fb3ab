//! The form of a statement in which nobody waits: migrations in order, some of them without a transaction.
//!
//! Every form takes the same end: the schema is the same afterwards. What it cannot write so, it leaves as it is. The law
//! that tests hold it to: the linter finds in the result nothing that the form was made for.

use super::Engine;
use super::batches::{delete_in_batches, fill_in_batches, update_in_batches};
use super::course::Course;
use super::effect::{Work, effect};
use super::stated::{Demand, Does, NewColumn, NewConstraint, NewIndex, RowDeed, SERIAL, Stated, Steady};
use serde::Serialize;
use std::ops::Range;
use targets::db::{TableName, quote};

/// One migration of a safe form.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// Its statements, without semicolons.
    pub statements: Vec<String>,
    /// Whether it runs in a transaction.
    pub transaction: bool,
    /// Whether it must be a migration after the one before it, not a part of it.
    pub apart: bool,
}

fn together(statements: Vec<String>) -> Step {
    Step { statements, transaction: true, apart: false }
}

fn after(statements: Vec<String>) -> Step {
    Step { statements, transaction: true, apart: true }
}

fn alone(statements: Vec<String>) -> Step {
    Step { statements, transaction: false, apart: true }
}

/// The safe form of a statement; none when it is safe already, or when there is none.
pub fn safe(sql: &str, parts: &[Stated], course: &Course) -> Option<Vec<Step>> {
    if course.engine == Engine::Sqlite {
        return None;
    }
    match parts {
        [Stated { does: Does::CreateIndex { table, index }, .. }] if !course.is_new(table) => {
            create_index(sql, index)
        }
        [Stated { does: Does::DropIndex { names, concurrently: false, .. }, .. }] => {
            drop_index(sql, names, course)
        }
        [Stated { does: Does::Reindex { target, name: Some(name), concurrently: false }, .. }] => {
            Some(vec![alone(vec![format!("reindex {target} concurrently {}", shown(name))])])
        }
        [Stated { does: Does::Refresh { view, concurrently: false, with_data: true }, .. }]
            if !course.is_new(view) && whole_unique(course, view) =>
        {
            Some(vec![together(vec![format!("refresh materialized view concurrently {}", shown(view))])])
        }
        [Stated { does: Does::DetachPartition { table, partition, concurrently: false }, .. }] => {
            let detach =
                format!("alter table {} detach partition {} concurrently", shown(table), shown(partition));
            Some(vec![alone(vec![detach])])
        }
        [Stated { does: Does::Rows { table, deed, condition, .. }, .. }] if !course.is_new(table) => {
            match deed {
                RowDeed::Delete => {
                    delete_in_batches(sql, table, condition.as_deref()).map(|sql| vec![alone(vec![sql])])
                }
                RowDeed::Update => {
                    update_in_batches(sql, table, condition.as_deref()).map(|sql| vec![alone(vec![sql])])
                }
                RowDeed::Insert => None,
            }
        }
        parts if parts.iter().any(|part| is_action(&part.does)) => alter(sql, parts, course),
        _ => None,
    }
}

/// Whether a view may be refreshed beside its readers: it needs a unique index over plain columns.
fn whole_unique(course: &Course, view: &TableName) -> bool {
    let indexes = course.indexes(view);
    indexes.is_empty() && course.there(view).is_none()
        || indexes
            .iter()
            .any(|index| index.unique && !index.partial && index.columns.iter().all(Option::is_some))
}

/// As a statement needs it: quoted only where it must be.
pub fn shown(name: &TableName) -> String {
    match &name.schema {
        Some(schema) => format!("{}.{}", word(schema), word(&name.name)),
        None => word(&name.name),
    }
}

/// A name that is quoted only where it must be.
pub fn word(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !squawk_syntax::quote::is_reserved_word(name) { name.to_owned() } else { quote(name) }
}

fn words_list(names: &[String]) -> String {
    names.iter().map(|name| word(name)).collect::<Vec<_>>().join(", ")
}

/// The statement with a word put behind the first `keyword`.
fn with_word(sql: &str, keyword: &str, added: &str) -> Option<String> {
    let lower = sql.to_ascii_lowercase();
    let end = lower.match_indices(keyword).map(|(at, _)| at + keyword.len()).find(|end| {
        let bare =
            |letter: Option<char>| !letter.is_some_and(|letter| letter.is_alphanumeric() || letter == '_');
        bare(lower[end - keyword.len()..].chars().nth(keyword.len()))
            && bare(lower[..end - keyword.len()].chars().last())
    })?;
    Some(format!("{} {added}{}", &sql[..end], &sql[end..]))
}

fn create_index(sql: &str, index: &NewIndex) -> Option<Vec<Step>> {
    if index.concurrently || index.only {
        return None;
    }
    Some(vec![alone(vec![with_word(sql, "index", "concurrently")?])])
}

fn drop_index(sql: &str, names: &[TableName], course: &Course) -> Option<Vec<Step>> {
    let fresh = |name: &TableName| course.table_of_index(name).is_some_and(|table| course.is_new(&table));
    if sql.to_lowercase().contains("cascade") || names.iter().any(fresh) {
        return None;
    }
    let each = names.iter().map(|name| format!("drop index concurrently if exists {}", shown(name)));
    Some(vec![alone(each.collect())])
}

fn is_action(does: &Does) -> bool {
    matches!(does, Does::AddColumn { .. } | Does::AddConstraint { .. } | Does::SetNotNull { .. })
}

/// An `alter table` with its parts taken apart: what is harmless stays together, the rest goes its own way.
fn alter(sql: &str, parts: &[Stated], course: &Course) -> Option<Vec<Step>> {
    let mut kept = Vec::new();
    let mut steps = Vec::new();
    let mut table = None;
    for part in parts {
        let own = match &part.does {
            Does::AddColumn { table: own, column, .. } if !course.is_new(own) => {
                table = Some(own);
                add_column(sql, own, column, part, course)
            }
            Does::AddConstraint { table: own, constraint } if !course.is_new(own) => {
                table = Some(own);
                add_constraint(own, constraint, course)
            }
            Does::SetNotNull { table: own, column } if !course.is_new(own) => {
                table = Some(own);
                let scans = effect(&part.does, course).scans();
                scans.then(|| set_not_null(own, column, course))
            }
            _ => None,
        };
        match own {
            Some(own) => steps.extend(own),
            None => kept.push(sql.get(part.at.clone())?.trim().to_owned()),
        }
    }
    let table = table.filter(|_| !steps.is_empty())?;
    if !kept.is_empty() {
        let rest = format!("alter table {} {}", shown(table), kept.join(", "));
        steps.insert(0, together(vec![rest]));
        // The first of the others may follow in the same transaction.
    }
    Some(steps)
}

fn alter_one(table: &TableName, part: &str) -> String {
    format!("alter table {} {part}", shown(table))
}

fn set_not_null(table: &TableName, column: &str, course: &Course) -> Vec<Step> {
    let set = format!("alter column {} set not null", word(column));
    if let Some(waiting) = course.waiting_check(table, column) {
        return vec![
            after(vec![alter_one(table, &format!("validate constraint {}", word(&waiting)))]),
            after(vec![alter_one(table, &set)]),
        ];
    }
    let name = word(&name_for(table, &[column.to_owned()], "not_null"));
    let validate = after(vec![alter_one(table, &format!("validate constraint {name}"))]);
    if course.version >= 180_000 {
        let add = format!("add constraint {name} not null {} not valid", word(column));
        return vec![together(vec![alter_one(table, &add)]), validate];
    }
    let add = format!("add constraint {name} check ({} is not null) not valid", word(column));
    vec![
        together(vec![alter_one(table, &add)]),
        validate,
        after(vec![alter_one(table, &format!("{set}, drop constraint {name}"))]),
    ]
}

/// A name that fits into 63 bytes.
fn name_for(table: &TableName, columns: &[String], end: &str) -> String {
    let mut name = format!("{}_{}", table.name, columns.join("_"));
    while name.len() + end.len() + 1 > 63 {
        name.pop();
    }
    format!("{}_{end}", name.trim_end_matches('_'))
}

fn add_constraint(table: &TableName, constraint: &NewConstraint, course: &Course) -> Option<Vec<Step>> {
    if constraint.not_valid || constraint.not_enforced {
        return None;
    }
    let named = |columns: &[String], end: &str| {
        word(&constraint.name.clone().unwrap_or_else(|| name_for(table, columns, end)))
    };
    match &constraint.demands {
        Demand::ForeignKey { columns, .. } => {
            Some(not_valid(table, &named(columns, "fkey"), &constraint.text))
        }
        Demand::Check(expression) => {
            let columns: Vec<String> = course.columns(table).unwrap_or_default();
            let used: Vec<String> =
                columns.into_iter().filter(|column| expression.contains(column.as_str())).collect();
            Some(not_valid(table, &named(&used, "check"), &constraint.text))
        }
        Demand::Unique { columns, index: None } => {
            unique(table, &named(columns, "key"), columns, "unique", &constraint.text)
        }
        Demand::Primary { columns, index: None } => {
            let mut steps = Vec::new();
            for column in columns.iter().filter(|column| !course.is_or_proves_not_null(table, column)) {
                steps.extend(set_not_null(table, column, course));
            }
            steps.extend(unique(table, &named(&[], "pkey"), columns, "primary key", &constraint.text)?);
            Some(steps)
        }
        Demand::NotNull(column) if !course.is_not_null(table, column) => {
            Some(set_not_null(table, column, course))
        }
        _ => None,
    }
}

fn not_valid(table: &TableName, name: &str, text: &str) -> Vec<Step> {
    vec![
        together(vec![alter_one(table, &format!("add constraint {name} {text} not valid"))]),
        after(vec![alter_one(table, &format!("validate constraint {name}"))]),
    ]
}

fn unique(table: &TableName, name: &str, columns: &[String], what: &str, text: &str) -> Option<Vec<Step>> {
    // Behind the columns: `include (…)` belongs to the index, `deferrable …` to the constraint.
    let rest = text.split_once(')').map_or("", |(_, rest)| rest).trim();
    let lower = rest.to_lowercase();
    let deferred =
        ["not deferrable", "deferrable", "initially"].iter().filter_map(|word| lower.find(word)).min();
    let (index, constraint) = rest.split_at(deferred.unwrap_or(rest.len()));
    let plain = !text.to_lowercase().contains("nulls") && !lower.contains("using") && !lower.contains("with");
    if !plain {
        return None;
    }
    let index = format!(
        "create unique index concurrently {name} on {} ({}){}",
        shown(table),
        words_list(columns),
        if index.is_empty() { String::new() } else { format!(" {}", index.trim()) }
    );
    let add = format!("add constraint {name} {what} using index {name} {constraint}");
    Some(vec![alone(vec![index]), after(vec![alter_one(table, add.trim())])])
}

fn add_column(
    sql: &str,
    table: &TableName,
    column: &NewColumn,
    part: &Stated,
    course: &Course,
) -> Option<Vec<Step>> {
    let costs = effect(&part.does, course);
    if costs.work.is_empty() || column.generated.is_some() || column.identity {
        return None;
    }
    let required = column.not_null && column.default.is_none();
    if required {
        return None;
    }
    let name = word(&column.name);
    let mut cut: Vec<Range<usize>> = Vec::new();
    let mut first = Vec::new();
    let mut later = Vec::new();
    let rewrites = costs.work.iter().any(|(_, work, _)| *work == Work::Rewrite);
    let serial = SERIAL.contains(&column.declared.as_str());
    if let Some(default) = column.default.as_ref().filter(|_| rewrites) {
        let value = if serial {
            let sequence = TableName {
                schema: table.schema.clone(),
                name: format!("{}_{}_seq", table.name, column.name),
            };
            first.push(format!("create sequence {}", shown(&sequence)));
            format!("nextval('{}')", shown(&sequence).replace('\'', "''"))
        } else {
            if default.at.is_empty() || default.steady == Steady::Constant && course.version >= 110_000 {
                return None;
            }
            cut.push(default.at.clone());
            default.text.clone()
        };
        later.push(alone(vec![fill_in_batches(table, &column.name, &value)]));
        first.push(String::new());
        first.push(alter_one(table, &format!("alter column {name} set default {value}")));
    } else {
        first.push(String::new());
    }
    // The column is there before the rules for it.
    for constraint in &column.constraints {
        let free = matches!(constraint.demands, Demand::ForeignKey { .. }) && column.default.is_none();
        if free {
            continue;
        }
        cut.push(constraint.at.clone());
        if let Demand::Primary { columns, .. } = &constraint.demands {
            later.extend(set_not_null(table, &column.name, course));
            later.extend(unique(table, &word(&name_for(table, &[], "pkey")), columns, "primary key", "")?);
        } else {
            let mut constraint = constraint.clone();
            if matches!(constraint.demands, Demand::ForeignKey { .. }) {
                // At a column the word `foreign key` is left away.
                constraint.text = format!("foreign key ({name}) {}", constraint.text);
            }
            later.extend(add_constraint(table, &constraint, course)?);
        }
    }
    let keyed =
        column.constraints.iter().any(|constraint| matches!(constraint.demands, Demand::Primary { .. }));
    let declared = if serial {
        let wide = if column.declared.contains("small") || column.declared.ends_with('2') {
            "smallint"
        } else {
            "bigint"
        };
        format!("{name} {wide}")
    } else {
        let mut declared = without(sql, &column.at, &cut)?;
        if column.not_null && rewrites {
            declared = declared.replace(" NOT NULL", "").replace(" not null", "").replace(" Not Null", "");
        }
        declared
    };
    if column.not_null && rewrites && !keyed {
        later.extend(set_not_null(table, &column.name, course));
    }
    for statement in first.iter_mut().filter(|statement| statement.is_empty()) {
        *statement = alter_one(table, &declared_part(&declared));
    }
    let mut steps = vec![together(first)];
    steps.extend(later);
    Some(steps)
}

fn declared_part(declared: &str) -> String {
    let lower = declared.to_lowercase();
    if lower.starts_with("add") { declared.to_owned() } else { format!("add column {declared}") }
}

/// A piece of a text without some pieces of it, and without the blanks that would be left.
fn without(sql: &str, whole: &Range<usize>, cut: &[Range<usize>]) -> Option<String> {
    let mut all = String::new();
    let mut from = whole.start;
    let mut cut = cut.to_vec();
    cut.sort_by_key(|piece| piece.start);
    for piece in cut {
        all.push_str(sql.get(from..piece.start)?.trim_end());
        from = piece.end;
    }
    all.push_str(sql.get(from..whole.end)?);
    Some(all.trim().to_owned())
}
